import { nameOf } from '../directory/names.ts';
import type { Place } from '../directory/place.ts';
import type { ManifestEntry } from '../manifest/manifest.ts';
import type { Plan } from './plan.ts';

const none: readonly number[] = [];

/** Slot of an entry that nothing is known of and that nobody comes back to. */
export const NO_SLOT = -1;

/** An entry that somebody is told of, or that is come back to: a name in a directory, or (without a name) a directory itself. */
export class Subject {
  readonly place: Place;
  readonly name: string | undefined;
  /** {@link NO_SLOT} where nothing is planned there and it is not come back to. */
  readonly slot: number;

  constructor(place: Place, name: string | undefined, slot: number) {
    this.place = place;
    this.name = name;
    this.slot = slot;
  }

  /** Path below the root. */
  get path(): string {
    return this.name === undefined ? this.place.path : this.place.pathOf(this.name);
  }
}

/**
 * `open`: not looked at yet. `pending`: looked at, and to be looked at again. `done`: dealt with.
 */
export type State = 'open' | 'pending' | 'done';
const states: readonly State[] = ['open', 'pending', 'done'];
const stateNumbers: Readonly<Record<State, number>> = { open: 0, pending: 1, done: 2 };

/** How something that is there was counted. */
export type VisitedEnding = 'changed' | 'unchanged' | 'links' | 'special';
const endings: readonly (VisitedEnding | undefined)[] = [
  undefined,
  'changed',
  'unchanged',
  'links',
  'special',
];

const UNKNOWN_MODE = 0xffff;
const WALKED_BIT = 0x80;
const UNVERIFIED_BIT = 0x40;
const STATE_BITS = 0x0f;

/** An entry that no manifest names and that has to be come back to. */
interface Walked {
  readonly subject: Subject;
  readonly type: 'directory' | 'symlink' | undefined;
}

/** What one pass knows of each slot of its plan, in a few bytes each; and of what it found besides and has to come back to. */
export class Slots {
  readonly #plan: Plan;
  /** State, whether the walk has been through, and whether there is no digest to verify. */
  #states: Uint8Array;
  #endings: Uint8Array;
  #left: Uint16Array;
  readonly #walked: Walked[] = [];
  readonly #walkedByPath = new Map<string, number>();

  constructor(plan: Plan) {
    this.#plan = plan;
    this.#states = new Uint8Array(plan.size);
    this.#endings = new Uint8Array(plan.size);
    this.#left = new Uint16Array(plan.size).fill(UNKNOWN_MODE);
    for (const directory of plan.directories) {
      // If the path is also listed as something else, it is dealt with once, as that.
      if (directory.isClaimed) this.setState(plan.slotOf(directory), 'done');
    }
  }

  state(slot: number): State {
    return states[(this.#states[slot] as number) & STATE_BITS] as State;
  }

  setState(slot: number, state: State): void {
    this.#states[slot] = ((this.#states[slot] as number) & ~STATE_BITS) | stateNumbers[state];
  }

  /** Whether the walk has been through this directory. */
  isWalked(slot: number): boolean {
    return ((this.#states[slot] as number) & WALKED_BIT) !== 0;
  }

  setWalked(slot: number): void {
    this.#states[slot] = (this.#states[slot] as number) | WALKED_BIT;
  }

  /** The walk begins anew. */
  forgetWalked(): void {
    for (let slot = 0; slot < this.#states.length; slot += 1) {
      this.#states[slot] = (this.#states[slot] as number) & ~WALKED_BIT;
    }
  }

  /** Whether it is a file whose content cannot be verified. */
  isUnverified(slot: number): boolean {
    return ((this.#states[slot] as number) & UNVERIFIED_BIT) !== 0;
  }

  setUnverified(slot: number, isUnverified: boolean): void {
    const others = (this.#states[slot] as number) & ~UNVERIFIED_BIT;
    this.#states[slot] = isUnverified ? others | UNVERIFIED_BIT : others;
  }

  /** How it was counted, once it was dealt with. */
  ending(slot: number): VisitedEnding | undefined {
    return endings[this.#endings[slot] as number];
  }

  setEnding(slot: number, ending: VisitedEnding | undefined): void {
    this.#endings[slot] = endings.indexOf(ending);
  }

  /** Mode that it was left with, where it was looked at. */
  left(slot: number): number | undefined {
    const mode = this.#left[slot] as number;
    return mode === UNKNOWN_MODE ? undefined : mode;
  }

  setLeft(slot: number, mode: number): void {
    this.#left[slot] = mode;
  }

  /** What the manifest says; `undefined` where it says nothing of it by itself. */
  facts(slot: number): ManifestEntry | undefined {
    if (slot < 0) return undefined;
    const { entries } = this.#plan;
    return slot < entries.length ? entries[slot] : this.#plan.directoryAt(slot)?.facts;
  }

  /** Kind that it must have; an implied directory is one. */
  type(slot: number): ManifestEntry['type'] {
    if (slot < 0) return undefined;
    if (slot < this.#plan.entries.length) return this.#plan.entries[slot]?.type;
    return slot < this.#plan.size ? 'directory' : this.#walked[slot - this.#plan.size]?.type;
  }

  /** `listed`: the manifest names it. `implied`: a directory on the way to what it names. `walked`: the walk found it. */
  origin(slot: number): 'listed' | 'implied' | 'walked' {
    if (slot >= this.#plan.size) return 'walked';
    return this.facts(slot) === undefined ? 'implied' : 'listed';
  }

  /** Of what may be spelled in more than one way, the slots of the other spellings. */
  twins(slot: number): readonly number[] {
    return this.#plan.twins.size === 0 ? none : (this.#plan.twins.get(slot) ?? none);
  }

  /** Whether nothing is waited for because of it alone: a second spelling, or a directory of which nothing is required. */
  isSoft(slot: number): boolean {
    return this.#plan.isAlternative(slot) || this.#plan.isFree(slot);
  }

  /** Whether it is the second spelling of something. */
  isAlternative(slot: number): boolean {
    return this.#plan.isAlternative(slot);
  }

  /** Whether it may be absent. */
  isOptional(slot: number): boolean {
    return this.#plan.isOptional(slot);
  }

  /** Whether it is waited for: it must be there, and is not in its other spelling. */
  isPromised(slot: number): boolean {
    const isThereOtherwise = this.twins(slot).some((twin) => this.state(twin) === 'done');
    return !this.isOptional(slot) && !this.#plan.isFree(slot) && !isThereOtherwise;
  }

  subject(slot: number): Subject {
    const plan = this.#plan;
    if (slot >= plan.size) return (this.#walked[slot - plan.size] as Walked).subject;
    const directory = plan.directoryAt(slot);
    if (directory !== undefined) return new Subject(directory, undefined, slot);
    const { path } = plan.entries[slot] as ManifestEntry;
    return new Subject(plan.parentAt(slot), nameOf(path), slot);
  }

  /** Whether anything that no manifest names has to be come back to. */
  get hasWalked(): boolean {
    return this.#walked.length > 0;
  }

  /** Slot of what was found before and has to be come back to. */
  walked(path: string): number {
    return this.#walkedByPath.get(path) ?? NO_SLOT;
  }

  /** Give a slot to an entry that has none: one for a path, however often it is met. */
  adopt(subject: Subject, type?: 'directory' | 'symlink'): Subject {
    if (subject.slot !== NO_SLOT) return subject;
    const { path } = subject;
    const known = this.#walkedByPath.get(path);
    if (known !== undefined) return this.subject(known);
    const slot = this.#plan.size + this.#walked.length;
    const adopted = new Subject(subject.place, subject.name, slot);
    this.#walked.push({ subject: adopted, type });
    this.#walkedByPath.set(path, slot);
    if (slot >= this.#states.length) this.#grow();
    this.#left[slot] = UNKNOWN_MODE;
    return adopted;
  }

  #grow(): void {
    const size = this.#states.length * 2 + 8;
    const grown = <T extends Uint8Array | Uint16Array>(from: T, to: T): T => {
      to.set(from);
      return to;
    };
    this.#states = grown(this.#states, new Uint8Array(size));
    this.#endings = grown(this.#endings, new Uint8Array(size));
    this.#left = grown(this.#left, new Uint16Array(size));
  }
}
