import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { Ajv } from 'ajv';
import formats from 'ajv-formats';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { modelCardOf, policyCardOf } from '../tests/_util/cards.ts';
import { manifestOf } from '../tests/_util/models.ts';
import type { ModelCard } from './card.ts';
import { toCycloneDx, toHuggingFace } from './card-exports.ts';

const as = { name: 'reward', version: '3', atMs: Date.parse('2026-11-23T08:00:00Z') };
const none = { value: null, reason: 'it snowed' } as const;
const card = modelCardOf();
const cards: readonly (readonly [string, ModelCard])[] = [
  ['of a model', card],
  ['of a logistic model', modelCardOf(manifestOf({ kind: 'logistic' }))],
  ['of a model that was trained elsewhere', modelCardOf(manifestOf({ data: null }))],
  ['of a policy of the build', policyCardOf({ policy: 'softmax', version: '1' })],
  ['that knows nothing', { ...card, evaluation: null, latency: none, inputs: [], notKnown: [{ name: 'x', ...none }] }],
];

/** The schemas of the standard itself, as its own library ships them. */
const folder = path.join(
  path.dirname(createRequire(import.meta.url).resolve('@cyclonedx/cyclonedx-library/package.json')),
  'res/schema',
);
const schemaOf = (name: string) => JSON.parse(readFileSync(path.join(folder, `${name}.SNAPSHOT.schema.json`), 'utf8'));
const compile = (version: '1.6' | '1.7') => {
  const ajv = new Ajv({ strict: false, allErrors: true, formats: { 'iri-reference': true, 'idn-email': true } });
  formats.default(ajv);
  for (const name of ['spdx', 'jsf-0.82', 'cryptography-defs'])
    ajv.addSchema(schemaOf(name), `http://cyclonedx.org/schema/${name}.SNAPSHOT.schema.json`);
  return ajv.compile(schemaOf(`bom-${version}`));
};

describe('as CycloneDX', () => {
  const validate = compile('1.6');
  const validateNewer = compile('1.7');

  it.each(cards)('a card %s is valid', (_, given) => {
    for (const atMs of [as.atMs, undefined]) {
      const bom = JSON.parse(JSON.stringify(toCycloneDx(given, { ...as, atMs })));
      validate(bom);
      expect(validate.errors ?? []).toEqual([]);
      validateNewer({ ...bom, specVersion: '1.7' });
      expect(validateNewer.errors ?? []).toEqual([]);
    }
  });

  it('is refused by the same check where it is wrong', () => {
    expect(validate({ ...toCycloneDx(card, as), serialNumber: 'x' })).toBe(false);
    expect(validate({ ...toCycloneDx(card, as), surprise: 1 })).toBe(false);
  });

  it('has every number with its interval, and says which are not known', () => {
    const bom = JSON.stringify(toCycloneDx(card, as));
    expect(bom).toContain(
      '{"type":"rmse","value":"0.41","confidenceInterval":{"lowerBound":"0.39","upperBound":"0.43"}}',
    );
    expect(bom).toContain('"type":"selectionRate difference","slice":"activity"');
    expect(bom).toContain('locale is not known: rows hold');
    const evaluation = card.evaluation && { ...card.evaluation, errors: { ...card.evaluation.errors, rmse: none } };
    const unknown = JSON.stringify(toCycloneDx({ ...card, evaluation }, as));
    expect(unknown).toContain('{"type":"rmse","value":"not known: it snowed"}');
  });

  it('is the same for the same card, and has another serial number for another', () => {
    const serial = (given: ModelCard) => (toCycloneDx(given, as) as { serialNumber: string }).serialNumber;
    expect(toCycloneDx(card, as)).toEqual(toCycloneDx(card, as));
    expect(serial({ ...card, owner: 'x' })).not.toBe(serial(card));
  });
});

describe('as Hugging Face reads it', () => {
  it.each(cards)('a card %s is front matter and the page', (_, given) => {
    const text = toHuggingFace(given, as, '# The page\n');
    const [, matter = '', page] = /^---\n(.*?)\n---\n\n(.*)$/s.exec(text) ?? [];
    expect(page).toBe('# The page\n');
    const { 'model-index': index, tags, library_name: library } = parse(matter);
    expect(library).toBe('oo-ml');
    expect(tags).toContain(given.model.kind);
    const [{ name, results }] = index;
    expect(name).toBe('reward/3');
    for (const { type, value } of results[0].metrics) {
      expect(type).toMatch(/\w/);
      expect(Number.isFinite(value)).toBe(true);
    }
  });

  it('names both ends of each interval', () => {
    const { 'model-index': index } = parse(toHuggingFace(card, as, '').split('---\n')[1] ?? '');
    expect(index[0].results[0].metrics.slice(0, 3)).toEqual([
      { type: 'rmse', name: 'rmse', value: 0.41 },
      { type: 'rmse', name: 'rmse, lower end of the 95 % interval', value: 0.39 },
      { type: 'rmse', name: 'rmse, upper end of the 95 % interval', value: 0.43 },
    ]);
  });
});
