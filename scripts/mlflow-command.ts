import { parseArgs } from 'node:util';

export const mlflowUsage = `Usage: npm run mlflow -- sync
       npm run mlflow -- drift [--json]
       npm run mlflow -- pull <name>@<alias> --as <model> --actor <who>
           [--golden <file>] [--inputs <feature>,<feature>,…] [--output <name>] [--positive-column 0|1] [--epsilon 0.1]`;

export type MlflowCommand =
  | { readonly kind: 'sync' }
  | { readonly kind: 'drift'; readonly json: boolean }
  | {
      readonly kind: 'pull';
      readonly name: string;
      readonly alias: string;
      readonly model: string;
      readonly actor: string;
      readonly goldenFile: string | undefined;
      readonly inputs: readonly string[] | undefined;
      readonly output: string | undefined;
      readonly positiveColumn: 0 | 1 | undefined;
      readonly epsilon: number;
    };

const options = {
  json: { type: 'boolean' },
  as: { type: 'string' },
  actor: { type: 'string' },
  golden: { type: 'string' },
  inputs: { type: 'string' },
  output: { type: 'string' },
  'positive-column': { type: 'string' },
  epsilon: { type: 'string' },
} as const;

/** Throws an Error for whoever typed the arguments. */
export function readMlflowCommand(args: string[]): MlflowCommand {
  const { values, positionals } = parseArgs({ args, options, allowPositionals: true });
  const [kind, of, ...rest] = positionals;
  const allow = (...names: readonly string[]) => {
    const other = Object.keys(values).find((name) => !names.includes(name));
    if (other) throw new Error(`--${other} is not for ${kind}`);
    if (rest.length > 0 || (kind !== 'pull' && of !== undefined)) throw new Error(`too many words after ${kind}`);
  };
  switch (kind) {
    case 'sync':
      allow();
      return { kind };
    case 'drift':
      allow('json');
      return { kind, json: values.json ?? false };
    case 'pull': {
      allow('as', 'actor', 'golden', 'inputs', 'output', 'positive-column', 'epsilon');
      const [, name, alias] = /^([^@]{1,256})@([^@]{1,256})$/.exec(of ?? '') ?? [];
      if (name === undefined || alias === undefined) throw new Error('pull needs <name>@<alias>');
      if (!values.as) throw new Error('--as must name the model that it becomes here');
      if (!values.actor?.trim()) throw new Error('--actor must say who answers for it');
      const epsilon = Number(values.epsilon ?? '0.1');
      if (!(epsilon >= 0 && epsilon <= 1)) throw new Error('--epsilon must be from 0 to 1');
      const column = values['positive-column'];
      if (column !== undefined && column !== '0' && column !== '1') throw new Error('--positive-column must be 0 or 1');
      return {
        ...{ kind, name, alias, model: values.as, actor: values.actor.trim(), epsilon },
        goldenFile: values.golden,
        output: values.output,
        positiveColumn: column === undefined ? undefined : column === '0' ? 0 : 1,
        inputs: values.inputs?.split(',').map((each) => each.trim()),
      };
    }
    default:
      throw new Error('the first word must be sync, drift or pull');
  }
}
