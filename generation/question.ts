import type { TipContext } from '../features/context.ts';
import { type AcceptedTips, type AcceptOptions, acceptTips, createTipJudge, type TipJudge } from './accept-tips.ts';
import type { LlmRequest } from './gateway/gateway.ts';
import { outputSchema, outputSchemaName, parseOutput, type TipDraft, tipsMax } from './output.ts';
import type { ModelPrompt } from './prompts/prompt.ts';
import { render } from './prompts/template.ts';
import { promptView } from './prompts/view.ts';

/** What a model is asked about: the same for a request that is served and for one that is replayed. */
export interface Question {
  readonly prompt: ModelPrompt;
  readonly context: TipContext;
  /** How many tips, 1 to 10. */
  readonly n: number;
  /** 16 to 64 random letters and digits, new for every request. */
  readonly nonce: string;
}

/** The question as a gateway takes it. */
export function toLlmRequest({ prompt, context, n, nonce }: Question): LlmRequest {
  const view = promptView(context, n, nonce);
  return {
    system: render(prompt.system, view),
    user: render(prompt.user, view),
    schemaName: outputSchemaName,
    schema: outputSchema,
    temperature: prompt.temperature,
    maxOutputTokens: prompt.maxOutputTokens,
  };
}

export interface CheckedAnswer extends AcceptedTips {
  /** All that the model wrote. */
  readonly written: readonly TipDraft[];
}

/** What of a model's answer may be shown. Undefined: it is not of the agreed form. */
export function checkAnswer(text: string, question: Question): CheckedAnswer | undefined {
  const written = parseOutput(text, tipsMax);
  if (!written) return undefined;
  return { written, ...acceptTips(written, question.context, toAcceptOptions(question)) };
}

/** Judges the tips of an answer one by one, as `checkAnswer` does. */
export function judgeOf(question: Question): TipJudge {
  return createTipJudge(question.context, toAcceptOptions(question));
}

function toAcceptOptions({ prompt, n, nonce }: Question): AcceptOptions {
  return { n, nonce, promptText: `${prompt.system}\n${prompt.user}` };
}
