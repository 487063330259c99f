/** Peer: `chmodr`, asynchronous. */
import { chmodr } from 'chmodr';

await chmodr(process.argv[2] ?? '', 0o644);
