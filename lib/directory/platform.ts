/** Whether this is Windows: there are no modes, owners and Unix sockets, and what is in use cannot be renamed. */
export const isWindows = process.platform === 'win32';
