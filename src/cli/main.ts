#!/usr/bin/env node
import { Command } from 'commander';
import { registerReplay } from './replay.js';

const program = new Command('culvert');
registerReplay(program);
await program.parseAsync();
