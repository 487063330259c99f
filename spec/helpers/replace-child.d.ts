/** What lies at the destination: `absent`, one version that is whole, or what must never be. */
export declare function contentAt(path: string): string;
/** Make a tree of one version. */
export declare function makeVersion(directory: string, version: string): void;
