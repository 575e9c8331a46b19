import { describe, expect, it } from 'vitest';
import { readRolloutCommand } from './rollout-command.ts';

const words = (text: string) => text.split(' ').map((word) => word.replaceAll('_', ' '));
const by = { by: 'ana', why: 'it is good' };
const signed = '--by ana --why it_is_good';
const plain = { percent: undefined, override: undefined, diverges: undefined, isDryRun: false };

describe('the arguments', () => {
  it.each([
    ['show p', { kind: 'show', policy: 'p' }],
    ['history', { kind: 'history', policy: undefined }],
    ['history p', { kind: 'history', policy: 'p' }],
    [`advance p ${signed}`, { kind: 'advance', policy: 'p', ...by, ...plain }],
    [`${signed} advance p --percent 25`, { kind: 'advance', policy: 'p', ...by, ...plain, percent: 25 }],
    [
      `advance p ${signed} --override we_learn --diverges on_purpose --dry-run`,
      { kind: 'advance', policy: 'p', ...by, ...plain, override: 'we learn', diverges: 'on purpose', isDryRun: true },
    ],
    [`back p ${signed}`, { kind: 'back', policy: 'p', ...by }],
    [`retire p ${signed}`, { kind: 'retire', policy: 'p', ...by }],
  ])('%s', (text, command) => {
    expect(readRolloutCommand(words(text)).command).toEqual(command);
  });

  it('may be none: then everything is listed', () => {
    expect(readRolloutCommand([])).toEqual({ command: { kind: 'list' }, url: 'http://127.0.0.1:8080' });
  });

  it.each([
    ['http://ml.internal:8080/', 'http://ml.internal:8080'],
    ['https://ana:secret@ml.internal/oo/?a=b', 'https://ml.internal/oo'],
  ])('--url %s asks %s', (given, url) => {
    expect(readRolloutCommand(['--url', given]).url).toBe(url);
  });

  it.each([
    ['promote p', 'There is no command promote'],
    ['toString', 'There is no command toString'],
    ['list p', 'p is one word too many'],
    ['show', 'Which policy?'],
    ['show p q', 'q is one word too many'],
    ['history p q', 'q is one word too many'],
    ['show p --by ana', '--by has no meaning for show'],
    [`advance ${signed}`, 'Which policy?'],
    ['advance p --why x', '--by must say who does it'],
    ['advance p --by ana', '--why must say why'],
    ['advance p --by _ --why x', '--by is empty'],
    [`advance p ${signed} --override _`, '--override is empty'],
    ...['0', '2', '100', '05', '5%', '-1', '1.0', 'five'].map((percent) => [
      `advance p ${signed} --percent=${percent}`,
      '--percent must be one of 1, 5, 10, 25, 50',
    ]),
    [`back p ${signed} --percent 1`, '--percent has no meaning for back'],
    [`retire p ${signed} --dry-run`, '--dry-run has no meaning for retire'],
    ['--key secret', "Unknown option '--key'"],
    ['--url 127.0.0.1:8080', '--url must be like'],
    ['--url ftp://127.0.0.1', '--url must be like'],
  ])('%s is refused', (text, message) => {
    expect(() => readRolloutCommand(words(text))).toThrow(message);
  });
});
