// Colours, only where a person looks.

import { styleText } from 'node:util';

export type Style = 'red' | 'green' | 'yellow' | 'blue' | 'bold' | 'dim';

export type Paint = (text: string, style: Style | undefined) => string;

export function painter(isOn: boolean): Paint {
  return (text, style) => (isOn && style && text ? styleText(style, text, { validateStream: false }) : text);
}
