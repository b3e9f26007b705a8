// The command `stowage`, which bin/stowage.js starts. Each command has a module of its own in this directory.
import { Command } from 'commander';
import { version } from '../server/version.ts';
import { addAccessCommands } from './access.ts';
import { addAdoptCommand } from './adopt.ts';
import { addConfigCommand } from './config.ts';
import { addFsckCommand } from './fsck.ts';
import { addGcCommand } from './gc.ts';
import { addRetentionCommands } from './retention.ts';
import { addServeCommand } from './serve.ts';
import { addTagCommands } from './tag.ts';
import { addTokenCommands } from './token.ts';
import { addUsageCommand } from './usage.ts';
import { addUserCommands } from './user.ts';
import { addWorkerCommand } from './worker.ts';

const program = new Command('stowage')
  .description('A container registry that keeps everything in one bucket, or one directory.')
  .version(version)
  .showHelpAfterError('\n(--help shows all options)');

addServeCommand(program, version);
addWorkerCommand(program);
addConfigCommand(program);
addAdoptCommand(program);
addFsckCommand(program);
addGcCommand(program);
addUsageCommand(program);
addTagCommands(program);
addRetentionCommands(program);
addUserCommands(program);
addAccessCommands(program);
addTokenCommands(program);

await program.parseAsync();
