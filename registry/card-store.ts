import type { Database } from '../platform/database.ts';
import { cardHash, type ModelCard, policyHash } from './card.ts';
import type { CardedModel } from './card-problems.ts';
import type { Manifest } from './model.ts';
import type { Subject } from './rollout.ts';

/** A card as it is stored, by whoever stored it, and what it has to be of. */
export interface FoundCard {
  /** Undefined: there is none. */
  readonly card: unknown;
  readonly of: CardedModel;
}

/** Errors are those of the database. */
export interface CardStore {
  /**
   * The card of each policy, in order: the newest that was made of it, else the one that its model was registered with.
   */
  read(subjects: readonly Subject[]): Promise<readonly FoundCard[]>;
  /** Keeps a card. It counts from then on. */
  put(made: {
    readonly subject: Subject;
    readonly card: ModelCard;
    readonly actor: string;
    readonly atMs: number;
  }): Promise<void>;
}

export function createCardStore(database: Pick<Database, 'query'>): CardStore {
  return {
    async read(subjects) {
      const values = [subjects.map(({ policy }) => policy), subjects.map(({ version }) => version)];
      const { rows } = await database.query<Row>({ name: 'policy-cards', text: select, values });
      return rows.map(({ policy, version, card, hash, manifest }) => ({
        card: card ?? undefined,
        of: { hash: hash ?? policyHash({ policy, version }), manifest: manifest ?? undefined },
      }));
    },

    async put({ subject: { policy, version }, card, actor, atMs }) {
      await database.query(
        `INSERT INTO policy_cards (policy, policy_version, hash, card, actor, made_at)
        VALUES ($1, $2, $3, $4, $5, to_timestamp($6 / 1000.0))`,
        [policy, version, cardHash(card), JSON.stringify(card), actor, atMs],
      );
    },
  };
}

interface Row extends Subject {
  readonly card: unknown;
  readonly hash: string | null;
  readonly manifest: Manifest | null;
}

const select = `
  SELECT asked.policy, asked.version, coalesce(made.card, registered.card) AS card, registered.hash, registered.manifest
  FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS asked (policy, version, place)
  LEFT JOIN LATERAL (
    SELECT card FROM policy_cards
    WHERE policy_cards.policy = asked.policy AND policy_cards.policy_version = asked.version
    ORDER BY policy_cards.number DESC LIMIT 1
  ) AS made ON true
  LEFT JOIN model_versions AS registered ON registered.model || '.' || registered.version = asked.policy
  ORDER BY place`;
