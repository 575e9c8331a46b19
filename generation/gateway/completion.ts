import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { createEventReader } from './event-stream.ts';
import { type LlmAnswer, LlmError, type LlmUsage, noUsage } from './gateway.ts';
import { answerBytesMax, badOutput, isModelName, readJsonText } from './upstream.ts';

const uint32Max = 0xffff_ffff;

/** No stream may have more bytes: a server spends a few hundred on each token, so a few times those of an answer. */
const streamBytesMax = 16 * answerBytesMax;
/** For so long the end of a connection is waited for once the answer is there, so that the next call can use it. */
const lingerMs = 50;

const contentFilter = 'content_filter';

/** A part of a completion, or all of it. What it does not say is empty or undefined. */
export interface CompletionPiece {
  readonly model: string;
  readonly text: string;
  readonly finishReason: string | undefined;
  readonly isRefused: boolean;
  readonly usage: LlmUsage | undefined;
}

// Providers differ in all but the text, so the rest is taken if it makes sense and is left out if not.
const spoken = z.object({ content: z.string().nullish(), refusal: z.string().nullish().catch(null) });
const finishReason = z.string().nullish().catch(null);
const rest = {
  model: z.string().catch(''),
  usage: z.object({ prompt_tokens: tokens(), completion_tokens: tokens() }).nullish().catch(null),
};
const completionSchema = z.object({
  ...rest,
  choices: z.array(z.object({ finish_reason: finishReason, message: spoken })).min(1),
});
const chunkSchema = z.object({
  ...rest,
  choices: z.array(z.object({ finish_reason: finishReason, delta: spoken.nullish() })).nullish(),
});

function tokens() {
  return z.int().min(0).max(uint32Max).catch(0);
}

/** All of a completion. Throws where it is none. */
export function parseCompletion(json: string): CompletionPiece {
  const parsed = completionSchema.safeParse(parseJson(json));
  if (!parsed.success) throw badOutput('JSON that is not a chat completion');
  const [choice] = parsed.data.choices;
  return toPiece(parsed.data, choice?.finish_reason, choice?.message);
}

function parseChunk(json: string): CompletionPiece {
  const value = parseJson(json);
  if (typeof value === 'object' && value !== null && 'error' in value && value.error) {
    throw new LlmError('unavailable', 'The language model failed while it answered.');
  }
  const parsed = chunkSchema.safeParse(value);
  if (!parsed.success) throw badOutput('a stream that is not of chat completions');
  const [choice] = parsed.data.choices ?? [];
  return toPiece(parsed.data, choice?.finish_reason, choice?.delta);
}

function toPiece(
  { model, usage }: Pick<z.infer<typeof chunkSchema>, 'model' | 'usage'>,
  finishReason: string | null | undefined,
  said: z.infer<typeof spoken> | null | undefined,
): CompletionPiece {
  return {
    model: isModelName(model) ? model : '',
    text: said?.content ?? '',
    finishReason: finishReason ?? undefined,
    isRefused: Boolean(said?.refusal),
    usage: usage ? { promptTokens: usage.prompt_tokens, completionTokens: usage.completion_tokens } : undefined,
  };
}

/** The pieces of an answer to a question that asked for a stream; a server that knows none sends it in one. */
export async function* readCompletion(response: Response): AsyncGenerator<CompletionPiece> {
  if (isEventStream(response)) yield* readStream(response);
  else yield parseCompletion(await readJsonText(response));
}

/** The answer that pieces add up to. `onText` gets each text as it comes, and the model that wrote it. */
export async function collect(
  pieces: AsyncIterable<CompletionPiece>,
  askedModel: string,
  onText: (text: string, model: string) => void,
): Promise<LlmAnswer> {
  let [text, model] = ['', ''];
  let finishReason: string | undefined;
  let isRefused = false;
  let usage: LlmUsage | undefined;
  for await (const piece of pieces) {
    model ||= piece.model;
    finishReason = piece.finishReason ?? finishReason;
    isRefused ||= piece.isRefused || piece.finishReason === contentFilter;
    usage = piece.usage ?? usage;
    if (piece.text === '' || isRefused) continue;
    text += piece.text;
    if (text.length > answerBytesMax) throw tooLong();
    model ||= askedModel; // it has a name from its first word on
    onText(piece.text, model);
  }
  return toAnswer({ model, text, finishReason, isRefused, usage }, askedModel);
}

/** Throws where it is no answer. */
export function toAnswer(
  { model, text, finishReason, isRefused, usage = noUsage }: CompletionPiece,
  askedModel: string,
): LlmAnswer {
  if (isRefused || finishReason === contentFilter) {
    throw new LlmError('refused', 'The language model refused to answer.', { usage });
  }
  if (finishReason === 'length') throw badOutput('an answer cut off at its maximum length', { usage });
  if (!text) throw badOutput('an empty answer', { usage });
  return { text, model: model || askedModel, ...usage };
}

function isEventStream({ headers }: Response): boolean {
  return /^text\/event-stream\s*(;|$)/i.test(headers.get('content-type') ?? '');
}

/** Ends at `[DONE]`, or with the connection if the answer has said why it ends. One that just stops was cut off. */
async function* readStream({ body }: Response): AsyncGenerator<CompletionPiece> {
  if (!body) throw badOutput('an empty answer');
  const reader: ReadableStreamDefaultReader<Uint8Array> = body.getReader();
  const decoder = new TextDecoder();
  const events = createEventReader();
  let [bytes, pending] = [0, 0];
  let hasEnded = false;
  try {
    for (;;) {
      const { value, done } = await reader.read();
      bytes += value?.byteLength ?? 0;
      const ended = events.read(decoder.decode(value, { stream: !done }));
      const all = done ? [...ended, ...events.end()] : ended;
      pending = all.length > 0 ? 0 : pending + (value?.byteLength ?? 0);
      if (bytes > streamBytesMax || pending > answerBytesMax) throw tooLong();
      for (const data of all) {
        if (data.trim() === '[DONE]') {
          await Promise.race([readOut(reader), sleep(lingerMs)]);
          return;
        }
        const piece = parseChunk(data);
        hasEnded ||= piece.finishReason !== undefined;
        yield piece;
      }
      if (!done) continue;
      if (!hasEnded) throw new LlmError('unavailable', 'The language model stopped in the middle of its answer.');
      return;
    }
  } finally {
    reader.cancel().catch(() => undefined);
  }
}

async function readOut(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<void> {
  while (!(await reader.read().catch(() => ({ done: true }))).done);
}

function tooLong(): LlmError {
  return badOutput(`an answer of more than ${answerBytesMax} bytes`);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
