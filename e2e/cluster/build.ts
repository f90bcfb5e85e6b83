// `npm run cluster:build [-- --node]`: builds what the test cluster is made of, unless it is there already.

import { parseArgs } from 'node:util';
import { ensureTools } from './tools.ts';

const { values } = parseArgs({ options: { node: { type: 'boolean', default: false } } });
const { bin } = await ensureTools({ node: values.node, tell: console.log });
console.log(bin);
