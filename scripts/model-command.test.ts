import { describe, expect, it } from 'vitest';
import { readCardCommand } from './card-command.ts';
import { readModelCommand } from './model-command.ts';

const url = 'http://127.0.0.1:8080';

describe('npm run model', () => {
  it.each([
    [[], { kind: 'list' }],
    [['show', 'reward'], { kind: 'show', model: 'reward', version: undefined }],
    [['show', 'reward/3'], { kind: 'show', model: 'reward', version: '3' }],
    [['card', 'reward/3'], { kind: 'card', model: 'reward', version: '3', format: 'markdown', out: undefined }],
    [
      ['card', 'reward', '--format', 'json', '--out', 'a'],
      { kind: 'card', model: 'reward', version: undefined, format: 'json', out: 'a' },
    ],
  ])('%j is understood', (args, command) => {
    expect(readModelCommand(args)).toEqual({ command, url });
  });

  it.each([
    [['drop'], 'There is no command drop'],
    [['list', 'x'], 'x is one word too many'],
    [['show'], 'Which model?'],
    [['show', 'a', 'b'], 'b is one word too many'],
    [['show', 'a/b/c'], 'a/b/c must be like reward/3'],
    [['show', 'a/'], 'a/ must be like reward/3'],
    [['show', 'a', '--format', 'json'], '--format has no meaning for show'],
    [['card', 'a', '--format', 'pdf'], '--format must be one of markdown, json'],
    [['card', 'a', '--out', ' '], '--out is empty'],
    [['card', 'a', '--url', 'x'], '--url must be like'],
  ])('%j is refused', (args, message) => {
    expect(() => readModelCommand(args)).toThrow(message);
  });
});

describe('npm run card', () => {
  const made = { policy: 'p', by: 'ana', evaluationFile: undefined, isDryRun: false };
  const said = { owner: undefined, purpose: undefined, weaknesses: undefined };

  it.each([
    [['make', 'p', '--by', ' ana '], { ...made, ...said }],
    [
      ['make', 'p', '--by', 'ana', '--owner', 'o', '--weakness', 'a', '--weakness', 'b', '--dry-run'],
      { ...made, ...said, owner: 'o', weaknesses: ['a', 'b'], isDryRun: true },
    ],
    [
      ['make', 'p', '--by', 'ana', '--purpose', 'x', '--evaluation', 'f'],
      { ...made, ...said, purpose: 'x', evaluationFile: 'f' },
    ],
  ])('%j is understood', (args, expected) => {
    expect(readCardCommand(args)).toEqual(expected);
  });

  it.each([
    [[], 'What is to be done?'],
    [['burn', 'p'], 'There is no command burn'],
    [['make'], 'Which policy?'],
    [['make', 'p', 'q'], 'q is one word too many'],
    [['make', 'p'], '--by must say who'],
    [['make', 'p', '--by', ' '], '--by is empty'],
    [['make', 'p', '--by', 'a', '--weakness', ''], '--weakness is empty'],
    [['make', 'p', '--by', 'a', '--force'], "Unknown option '--force'"],
  ])('%j is refused', (args, message) => {
    expect(() => readCardCommand(args)).toThrow(message);
  });
});
