import { vectorInputs } from '../features/vector.ts';
import { rewards } from './rewards.ts';

/** What this build feeds models with: the entries of vectors, to learn the rewards of this version of the table. */
export const modelFeed = { inputs: vectorInputs, rewardVersion: rewards.version } as const;
