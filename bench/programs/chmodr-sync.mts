/** Peer: `chmodrSync`. */
import { chmodrSync } from 'chmodr';

chmodrSync(process.argv[2] ?? '', 0o644);
