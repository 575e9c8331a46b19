import { writeFile } from 'node:fs/promises';
import { timestampMs } from '@bufbuild/protobuf/wkt';
import type { Client } from '@connectrpc/connect';
import {
  type AdminService,
  type GetModelCardResponse,
  type Model,
  ModelCardFormat,
  type ModelVersion,
} from '../gen/proto/oo/admin/v1/admin_pb.ts';
import { dim, heading, say, table } from './demo/print.ts';
import type { CardFormat, ModelCommand } from './model-command.ts';
import { clean, utc, wrapWords } from './print-rollouts.ts';
import { RolloutFailure } from './rollout-failures.ts';
import { placeName, placeOf } from './rollout-steps.ts';

type Admin = Pick<Client<typeof AdminService>, 'listModels' | 'getModelCard'>;

/** Asks a server, and prints what it says. Throws a RolloutFailure for a model that there is not; others are of the call. */
export async function runModel(admin: Admin, command: ModelCommand): Promise<void> {
  const models = await readModels(admin);
  if (command.kind === 'list') return printModels(models);
  const { model, version } = find(models, command);
  if (command.kind === 'show') return printModel(model, version);
  const { format, out } = command;
  const answer = await admin.getModelCard({ model, version: version.version, format: formats[format].asked });
  const text = formats[format].textOf(answer);
  if (text === '')
    throw new RolloutFailure(
      `${clean(model)} has no card that could be written as ${format}: ${clean(answer.cardProblems[0] ?? 'it is empty')}.`,
    );
  if (out === undefined) process.stdout.write(text.endsWith('\n') ? text : `${text}\n`);
  else {
    await writeFile(out, text);
    say(`   The card of ${clean(model)} ${clean(version.version)} is in ${out}.`);
  }
}

const formats: Readonly<
  Record<CardFormat, { readonly asked: ModelCardFormat; readonly textOf: (answer: GetModelCardResponse) => string }>
> = {
  markdown: { asked: ModelCardFormat.MARKDOWN, textOf: ({ cardMarkdown }) => cardMarkdown },
  json: { asked: ModelCardFormat.JSON, textOf: ({ cardJson }) => indented(cardJson) },
  cyclonedx: { asked: ModelCardFormat.CYCLONEDX, textOf: ({ cardCyclonedx }) => indented(cardCyclonedx) },
  'hugging-face': { asked: ModelCardFormat.HUGGING_FACE, textOf: ({ cardHuggingFace }) => cardHuggingFace },
};

const indented = (json: string): string => (json === '' ? '' : `${JSON.stringify(JSON.parse(json), null, 2)}\n`);

async function readModels(admin: Admin): Promise<readonly Model[]> {
  const models: Model[] = [];
  let pageToken = '';
  do {
    const page = await admin.listModels({ page: { pageSize: 500, pageToken } });
    models.push(...page.models);
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
  return models;
}

interface Found {
  readonly model: string;
  readonly version: ModelVersion;
}

/** By the name of the model, or of the policy that decides by it. */
function find(
  models: readonly Model[],
  asked: { readonly model: string; readonly version: string | undefined },
): Found {
  const all = models.flatMap(({ name, versions }) => versions.map((version) => ({ model: name, version })));
  const named = all.filter(({ model, version }) => model === asked.model || version.policy === asked.model);
  const found = named.find(({ version }) => asked.version === undefined || version.version === asked.version);
  if (found) return found;
  if (named.length > 0) {
    const versions = named.map(({ version }) => clean(version.version)).join(', ');
    throw new RolloutFailure(
      `There is no version ${clean(asked.version ?? '')} of ${clean(asked.model)}. There are ${versions}.`,
    );
  }
  throw new RolloutFailure(
    `There is no model ${clean(asked.model)}. There are ${models.map(({ name }) => clean(name)).join(', ')}.`,
  );
}

function printModels(models: readonly Model[]): void {
  table(
    ['model', 'version', 'kind', 'is', 'stage', 'card'],
    models.flatMap(({ name, versions }) =>
      versions.map((each) => [
        ...[clean(name), clean(each.version), clean(each.kind), each.aliases.map(clean).join(', ')],
        ...[placeName(placeOf(each)), cardWords(each)],
      ]),
    ),
  );
  say();
  say(dim('   champion: active; challenger: canary; shadow: came into the shadow last. npm run model -- show MODEL'));
}

function cardWords({ cardProblems: problems }: ModelVersion): string {
  if (problems.length === 0) return 'complete';
  const [first = ''] = problems;
  return first === missing
    ? 'none'
    : `blocks: ${problems.length === 1 ? 'one problem' : `${problems.length} problems`}`;
}

const missing = 'card is missing';

function printModel(model: string, version: ModelVersion): void {
  const { policy, policyVersion, contentHash, createdAt, actor, aliases, cardHash, cardProblems } = version;
  heading(`${clean(model)} ${dim(clean(version.version))}`);
  const who = createdAt ? `${utc(timestampMs(createdAt))} by ${clean(actor)}` : 'nowhere: a policy of the build';
  table(
    ['', ''],
    [
      ['kind', clean(version.kind)],
      [
        'policy',
        policyVersion === ''
          ? `${clean(policy)}, which this server cannot load`
          : `${clean(policy)} ${clean(policyVersion)}`,
      ],
      ['stage', placeName(placeOf(version))],
      ...(aliases.length === 0 ? [] : [['is', aliases.map(clean).join(', ')]]),
      ['registered', who],
      ['hash', clean(contentHash)],
    ],
  );
  heading(cardProblems.length === 0 ? `Its card is complete ${dim(clean(cardHash))}` : 'Its card keeps it from people');
  for (const problem of cardProblems)
    for (const [i, line] of wrapWords(clean(problem), 100).entries()) say(`   ${i === 0 ? '- ' : '  '}${line}`);
}
