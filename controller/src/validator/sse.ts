// Reads an inventory stream item by item while it arrives; a whole feed is never held as text.

import { createParser } from 'eventsource-parser';

/** Longest line the validator may send (protocol.md 6.1). */
const maxLineLength = 8 * 1024 * 1024;

/**
 * Call `onItem` with the text of each `data:` line. Rejects when the connection breaks, a line is longer than 8 MiB, or the stream ends
 * within a line: what has arrived until then is no complete answer.
 */
export async function readItems(body: ReadableStream<Uint8Array>, onItem: (text: string) => void): Promise<void> {
  let overflow: Error | undefined;
  let tail = '';
  const parser = createParser({
    maxBufferSize: maxLineLength,
    onEvent: ({ data }) => {
      // Items that follow each other without a blank line arrive as one event of several lines.
      for (const line of data.split('\n')) onItem(line);
    },
    onError: (error) => {
      if (error.type === 'max-buffer-size-exceeded') overflow = error;
    },
  });
  const decoder = new TextDecoder();
  for await (const chunk of body) {
    const text = decoder.decode(chunk, { stream: true });
    parser.feed(text);
    tail = (tail + text).slice(-2);
    if (overflow) throw new Error(`a line is longer than ${maxLineLength} characters`);
  }
  if (tail !== '' && !tail.endsWith('\n')) throw new Error('the stream ends within a line');
  // A last event without its blank line is complete all the same.
  if (tail !== '') parser.feed('\n\n');
}
