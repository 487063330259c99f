/** Peer: `chmodrp`. */
import { chmodr } from 'chmodrp';

await chmodr(process.argv[2] ?? '', 0o644);
