import type { AcceptedTips } from './accept-tips.ts';
import { LlmError, type LlmListener, type LlmUsage } from './gateway/gateway.ts';
import { parseOutput, type TipDraft, tipsMax } from './output.ts';
import { judgeOf, type Question } from './question.ts';
import { createTipReader } from './read-tips.ts';

/** Who wrote what was given away. */
export interface Author {
  readonly model: string;
  readonly askedModel: string;
}

/** What was given away, and what was dropped before it. */
export interface Given {
  readonly author: Author;
  readonly accepted: AcceptedTips;
}

/** An answer heard while it is written. */
export interface Hearing {
  /** For `LlmOptions.listen`. */
  listen(askedModel: string): LlmListener;
  /** Aborts when the attempt that gave a tip away has failed: no other may come after it. Its reason is the `LlmError`. */
  readonly signal: AbortSignal;
  /** Hears no more. Undefined: nothing was given away. */
  end(): Given | undefined;
}

/**
 * Gives away each tip that may be shown as soon as it is complete. Each attempt is heard from its beginning; once one has
 * given a tip away it is the only one, so that the tips of two answers never mix.
 */
export function hearTips(question: Question, onTip: (tip: TipDraft, author: Author) => void): Hearing {
  const failed = new AbortController();
  let chosen: { readonly author: Author; readonly judge: ReturnType<typeof judgeOf> } | undefined;
  let isOver = false;

  return {
    signal: failed.signal,
    listen: (askedModel) => {
      const read = createTipReader();
      const judge = judgeOf(question);
      const isOther = () => isOver || (chosen !== undefined && chosen.judge !== judge);
      return {
        onText: (piece, model) => {
          if (isOther()) return;
          for (const tip of read(piece)) {
            if (!judge.accepts(tip)) continue;
            chosen ??= { author: { model, askedModel }, judge };
            onTip(tip, chosen.author);
          }
        },
        onEnd: (result) => {
          if (chosen === undefined || isOther()) return;
          if (result instanceof LlmError) failed.abort(result);
          else if (parseOutput(result.text, tipsMax) === undefined) failed.abort(brokeTheForm(result));
        },
      };
    },
    end: () => {
      isOver = true;
      return chosen && { author: chosen.author, accepted: chosen.judge.result() };
    },
  };
}

function brokeTheForm({ promptTokens, completionTokens }: LlmUsage): LlmError {
  const usage = { promptTokens, completionTokens };
  return new LlmError('bad_output', 'The answer left the agreed form after its first tips.', { usage });
}
