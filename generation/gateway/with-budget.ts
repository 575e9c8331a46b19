import { type Amount, type Budget, nothing } from './budget.ts';
import { LlmError, type LlmGateway, type LlmRequest, type LlmUsage } from './gateway.ts';
import { costOf, type Price } from './price.ts';

export interface BudgetedOptions {
  readonly budget: Budget;
  readonly price: Price | undefined;
}

/** Asks only where the day's budget covers it, and counts what was spent. */
export function withBudget(gateway: LlmGateway, { budget, price }: BudgetedOptions): LlmGateway {
  const toAmount = (usage: LlmUsage): Amount => ({
    tokens: usage.promptTokens + usage.completionTokens,
    microdollars: costOf(usage, price),
  });
  return {
    model: gateway.model,
    complete: async (request, options) => {
      const most = estimate(request);
      const reservation = budget.reserve(options.person, toAmount(most));
      if (!reservation) throw new LlmError('budget', 'The budget of the language model is spent for today.');
      try {
        const answer = await gateway.complete(request, options);
        reservation.settle(toAmount(told(answer) ?? most));
        return answer;
      } catch (error) {
        const spent = spentInVain(error, most);
        reservation.settle(spent ? toAmount(spent) : nothing);
        throw error;
      }
    },
  };
}

/** What a request will cost at most, by rule of thumb: a token is four bytes. */
export function estimate({ system, user, schema, maxOutputTokens }: LlmRequest): LlmUsage {
  const bytes = Buffer.byteLength(system) + Buffer.byteLength(user) + JSON.stringify(schema).length;
  return { promptTokens: Math.ceil(bytes / 4), completionTokens: maxOutputTokens };
}

/** Undefined: the model did not say. */
function told(usage: LlmUsage | undefined): LlmUsage | undefined {
  return usage && usage.promptTokens + usage.completionTokens > 0 ? usage : undefined;
}

/** Providers charge for a question they took, answered in time or not, but not for one that they turned away. */
function spentInVain(error: unknown, most: LlmUsage): LlmUsage | undefined {
  if (error instanceof LlmError && error.kind === 'unavailable') return undefined;
  return told(error instanceof LlmError ? error.usage : undefined) ?? { ...most, completionTokens: 0 };
}
