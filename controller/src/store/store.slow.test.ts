import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { storeContract } from './contract.ts';
import { openDatabase } from './open.ts';

const folder = mkdtempSync(join(tmpdir(), 'miner-store-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));

storeContract('store in a folder', () => openDatabase({ dir: join(folder, 'store') }));
