import { create } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { assembleContext, type TipContext } from '../features/context.ts';
import { toTimestamp } from '../features/time.ts';
import { PromptContextSchema } from '../gen/proto/oo/serving/v1/context_pb.ts';
import { isGrounded } from './grounding.ts';
import type { TipDraft } from './output.ts';

const now = Date.UTC(2026, 10, 24, 11, 30); // a Tuesday, 12:30 in Amsterdam
const at = (day: number, hour: number, minute = 0) => toTimestamp(Date.UTC(2026, 10, day, hour - 1, minute));
const request = create(PromptContextSchema, {
  timeZone: 'Europe/Amsterdam',
  signals: [
    {
      id: 'tax',
      detail: {
        case: 'task',
        value: { title: 'Tax return 2025', isOverdue: true, priority: 4, ageDays: 14.2, dueAt: at(20, 17) },
      },
    },
    { id: 'eggs', detail: { case: 'task', value: { title: 'Buy 12 eggs', ageDays: 0.2, dueAt: at(25, 9) } } },
    { id: 'mum', detail: { case: 'task', value: { title: 'Call mum about Christmas', ageDays: 3 } } },
    { id: 'ratio', detail: { case: 'task', value: { title: 'Print at 25:70 for 1.234,50 euros' } } },
    { id: 'rest', detail: { case: 'task', value: { title: 'Rest', ageDays: 3 } } },
    {
      id: 'dentist',
      detail: { case: 'event', value: { title: 'Dentist in Room 7', startsAt: at(24, 14, 30), durationMinutes: 45 } },
    },
    {
      id: 'review',
      detail: { case: 'event', value: { title: 'Quarterly review', startsAt: at(27, 9), durationMinutes: 90 } },
    },
    { id: 'flight', detail: { case: 'event', value: { title: 'Flight', startsAt: at(28, 3, 15) } } },
    {
      id: 'body',
      detail: { case: 'health', value: { steps: 7512, sleepMinutes: 490, activeMinutes: 20, restingHeartRateBpm: 58 } },
    },
  ],
  recentTips: [{ content: 'You have 77 things to do at 23:45.' }],
});
const profile = [
  { name: 'completion_rate_30d', value: 0.4, status: 'present' as const },
  { name: 'preferred_hour', value: 9, status: 'present' as const },
];

function check(content: string, cited: string, locale = 'en', kind: TipDraft['kind'] = 'advice'): boolean {
  const tip = { content, kind, rationale: '', signalIds: cited === '' ? [] : cited.split(' ') };
  return isGrounded(tip, { ...assembleContext(request, profile, now), locale });
}

describe('a tip is grounded that says', () => {
  it.each([
    // Times
    ['dentist', 'The dentist is at 14:30.'],
    ['dentist', 'The dentist is at 2:30 pm.'],
    ['dentist', 'The dentist is at 2:30 p.m. today.'],
    ['dentist', 'The dentist is at 2:30.'],
    ['dentist', 'The dentist is at half past two.'],
    ['dentist', 'The dentist is at 14.30.'],
    ['dentist', 'It is over at 15:15, or quarter past three.'],
    ['dentist', 'It starts in two hours.'],
    ['dentist', 'It starts in 120 minutes.'],
    ['dentist', 'It takes 45 minutes.'],
    ['dentist', 'The dentist is in Room 7.'],
    ['dentist', 'The dentist is today at 14:30.'],
    ['dentist', '14:30 today: the dentist.'],
    ['eggs', 'It is due tomorrow at 9.'],
    ['eggs', 'Tomorrow, at nine, it is due.'],
    ['eggs', 'It is due tomorrow morning at 9 am.'],
    ['eggs', 'Due at 9 tomorrow.'],
    ['eggs', 'Buy the 12 eggs, all twelve.'],
    ['eggs', 'Buy a dozen eggs.'],
    // Dates
    ['review', 'The review is on 2026-11-27.'],
    ['review', 'The review is on 27 November.'],
    ['review', 'The review is on November 27th, 2026.'],
    ['review', 'The review is on Nov 27.'],
    ['review', 'The review is on 11/27.'],
    ['review', 'The review is on 27/11/2026.'],
    ['review', 'The review is on the 27th.'],
    ['review', 'The review is on Friday at nine.'],
    ['review', 'It is in 3 days and takes 1.5 hours, or an hour and a half.'],
    ['review', 'It takes 1½ hours.'],
    ['', 'It is Tuesday, a bit past noon.'],
    // Numbers
    ['body', 'You walked 7,512 steps.'],
    ['body', 'You walked 7512 steps.'],
    ['body', 'You walked about 7,500 steps.'],
    ['body', 'You walked 7.5k steps.'],
    ['body', 'You slept 8 h 10 min.'],
    ['body', 'You slept 8 hours and 10 minutes.'],
    ['body', 'You slept 8h10.'],
    ['body', 'You slept 490 minutes.'],
    ['body', 'You slept about eight hours.'],
    ['body', 'You were active for 20 minutes.'],
    ['body', 'Your heart rests at 58 bpm.'],
    ['body', 'You walked ７５１２ steps.'],
    ['tax', 'It has waited for 14 days, two weeks.'],
    ['tax', 'It was due 4 days ago.'],
    ['tax', 'Its priority is 4, for 2025.'],
    ['', 'You have 5 tasks and three meetings.'],
    ['tax', 'One task is overdue.'],
    ['mum', 'Dial now; the other four can wait.'],
    ['ratio', 'Set it to 25:70, for 1,234.50 euros.'],
    ['tax mum', 'Start with one of these 2 tasks.'],
    ['', 'You did 40 % of your tips in the last 30 days.'],
    ['', 'You did 40% of them, 40 percent.'],
    ['', 'You finish most things between nine and ten.'],
    ['', 'You finish most things around 9:00.'],
    // Efforts
    ['tax', 'Open the form; that takes ten minutes.'],
    ['tax', 'Give it five minutes, or half an hour.'],
    ['tax', 'Give it 30 minutes.'],
    ['flight', 'The flight is at 3:15.'],
    ['', 'Take a 2-minute break.'],
    ['', 'Breathe slowly for 60 seconds.'],
    ['', 'Take three deep breaths.'],
    ['', 'Write down two small things.'],
    ['dentist', 'Take two minutes now to get ready.'],
    ['', 'Set a timer for ten minutes, and do only that until it rings.'],
    ['tax dentist', 'You have two hours until the dentist. Do one page in 15 minutes.'],
    ['body', 'Only 20 active minutes so far.'],
    ['review flight', 'Between the two there are 16 hours and 45 minutes.'],
    ['tax', 'Block 90 minutes for it.'],
    ['tax', 'Book a 15-minute call about it.'],
    ['dentist', 'Look for your card; that takes 3 minutes.'],
    ['dentist', 'It is 45 minutes; take ten of them to breathe.'],
    ['', 'Three sentences are enough.'],
    ['', 'Mark the three tasks that matter most.'],
    ['', 'Do ten squats.'],
    ['', 'Walk 300 steps.'],
    ['', 'Step 3: rest.'],
    ['', 'If you have ten minutes, rest.'],
    ['', 'Try the 5-4-3-2-1 method.'],
    // Names
    ['mum', 'Call mum about Christmas: dial now.'],
    ['mum', '“Call mum” is next.'],
    ['tax', 'Open “Tax return 2025”.'],
    ['', 'Rest a while.'],
    ['', 'Say “not now” to one thing.'],
    ['body', 'COVID-like tiredness? No: B2B, A4 and Q3 are no numbers.'],
  ])('[%s] %s', (cited, content) => {
    expect(check(content, cited)).toBe(true);
  });

  it.each([
    ['de', 'dentist', 'Der Zahnarzt ist um 14:30 Uhr, um 14.30 Uhr, um halb drei.'],
    ['de', 'dentist', 'Beginn in zwei Stunden, Dauer 45 Minuten.'],
    ['de', 'eggs', 'Fällig morgen um 9 Uhr.'],
    ['de', 'eggs', 'Fällig morgen früh um neun.'],
    ['de', 'review', 'Am Freitag, dem 27. November, um neun.'],
    ['de', 'review', 'Am 27.11.2026, am 27.11. um 9 Uhr.'],
    ['de', 'body', 'Du bist 7.512 Schritte gegangen, rund 7.500.'],
    ['de', 'body', 'Du hast 8 Stunden und 10 Minuten geschlafen, also 8 Std. 10 Min.'],
    ['de', 'body', 'Du hast 8,2 Stunden geschlafen.'],
    ['de', '', 'Du hast 40 % erledigt, 40 Prozent.'],
    ['de', 'tax', 'Nimm dir fünf Minuten dafür.'],
    ['de', 'tax', 'Öffne „Tax return 2025“.'],
    ['de-CH', 'body', "Du bist 7'512 oder 7’512 Schritte gegangen."],
    ['fr', 'dentist', 'Le dentiste est à 14 h 30, à 14h30, à deux heures et demie.'],
    ['fr', 'eggs', 'À faire pour demain à 9 h.'],
    ['fr', 'eggs', 'À faire pour demain à 9 heures.'],
    ['fr', 'review', 'Vendredi 27 novembre à 9 heures.'],
    ['fr', 'body', 'Vous avez fait 7 512 pas, 7\u202f512 pas.'],
    ['fr', 'body', 'Vous avez dormi 8 heures et 10 minutes, 8 heures 10.'],
    ['fr', 'tax', 'Ouvrez « Tax return 2025 » pendant dix minutes.'],
    ['nl', 'dentist', 'De tandarts is om half drie, om 14.30 uur.'],
    ['nl', 'eggs', 'Morgen om 9 uur moet het klaar zijn.'],
    ['es', 'review', 'El viernes 27 de noviembre a las nueve.'],
    ['es', 'dentist', 'El dentista es a las dos y media.'],
    ['it', 'body', 'Hai fatto 7.512 passi.'],
    ['ja', 'dentist', '歯医者は14時30分です。'],
    ['ja', 'review', '11月27日9時からです。'],
    ['ru', 'dentist', 'Стоматолог в 14:30, через 2 часа.'],
    ['ar', 'dentist', 'الموعد ١٤:٣٠'],
    ['fi', 'tax', 'Se on odottanut 14 päivää.'],
  ])('in %s [%s] %s', (locale, cited, content) => {
    expect(check(content, cited, locale)).toBe(true);
  });
});

describe('a tip is not grounded that says', () => {
  it.each([
    // Times
    ['dentist', 'The dentist is at 14:35.'],
    ['dentist', 'The dentist is at 2:30 am.'],
    ['dentist', 'The dentist is at half past three.'],
    ['dentist', 'Leave at 14:15.'],
    ['flight', 'The flight is at 15:15.'],
    ['eggs', 'It is due in 0 days.'],
    ['tax', 'It is good for 31 minutes.'],
    ['', 'The dentist is at 14:30.'],
    ['tax', 'The dentist is at 14:30.'],
    ['dentist', 'It starts in three hours.'],
    ['dentist', 'It starts in 10 minutes.'],
    ['dentist', 'You see the dentist in 10 minutes.'],
    ['dentist', 'It takes 60 minutes.'],
    ['dentist', 'The dentist is tomorrow at 14:30.'],
    ['dentist', 'The dentist is in Room 8.'],
    ['eggs', 'It is due tomorrow at 10.'],
    ['eggs', 'It is due today at 9.'],
    ['eggs', 'Due at 9 yesterday.'],
    ['eggs', 'Buy 13 eggs.'],
    ['eggs', 'Buy thirteen eggs.'],
    // Dates
    ['review', 'The review is on 2026-11-28.'],
    ['review', 'The review is on 2025-11-27.'],
    ['review', 'The review is on 28 November.'],
    ['review', 'The review is on November 28th.'],
    ['review', 'The review is on 27 December.'],
    ['review', 'The review is on Thursday.'],
    ['review', 'It is in 5 days.'],
    ['tax', 'It was due 27 November.'],
    ['', 'It is due on 20 November.'],
    // Numbers
    ['body', 'You walked 7,612 steps.'],
    ['body', 'You walked 8,000 steps.'],
    ['body', 'You walked 75,120 steps.'],
    ['', 'You walked 7,512 steps.'],
    ['tax', 'You walked 7,512 steps.'],
    ['body', 'You slept 8 h 20 min.'],
    ['body', 'You slept nine hours.'],
    ['body', 'You slept 25 minutes.'],
    ['body', 'You were active for 25 minutes.'],
    ['body', 'Only 25 minutes of activity so far.'],
    ['tax', 'You have 14 letters.'],
    ['body', 'Your heart rests at 59 bpm.'],
    ['body', 'You walked ７５１３ steps.'],
    ['tax', 'It has waited for 3 weeks.'],
    ['', 'You have 6 tasks.'],
    ['', 'You have eleven tasks.'],
    ['tax', 'You postponed it 7 times.'],
    ['', 'You did 45 % of your tips.'],
    ['', 'You have 77 things to do at 23:45.'],
    ['', '90% of people finish early.'],
    ['', 'You have 8 new messages.'],
    // Efforts beyond the bounds
    ['tax', 'Give it 91 minutes.'],
    ['tax', 'Give it an evening of 2 hours.'],
    ['', 'Take eleven deep breaths.'],
    // What looks like an effort and is a fact
    ['dentist', 'Use the 25 minutes before the dentist.'],
    ['dentist', 'The dentist is at 9.'],
    ['dentist tax', 'Dentist in 15 minutes, then the form.'],
    ['dentist', 'The next step is a 30-minute appointment.'],
    ['', 'You have 5 minutes.'],
    ['', 'Five minutes ago you were faster.'],
    ['', 'Three ideas were good.'],
    ['', 'Choose one of 9 tasks.'],
    ['', 'Finish your four drafts.'],
    ['eggs', 'Buy 8 eggs.'],
    ['eggs', 'Boil, then eat 8 eggs.'],
    ['eggs', 'Eat 8 eggs.'],
    ['tax', 'Spend 5 euros now.'],
    ['', 'Step 12: open the form.'],
    ['body', 'You walked 58 steps.'],
    ['body', 'You walked 7,512 kilometres.'],
    ['tax', 'You slept a two-hour night.'],
    // Names
    ['', 'Call mum about Christmas now.'],
    ['tax', 'Call mum about Christmas now.'],
    ['tax', '“Rest” is next.'],
    ['dentist', 'Prepare the quarterly review.'],
    // Ids
    ['nobody', 'Rest a while.'],
    ['tax nobody', 'Rest a while.'],
    ['TAX', 'Rest a while.'],
  ])('[%s] %s', (cited, content) => {
    expect(check(content, cited)).toBe(false);
  });

  it.each([
    ['de', 'dentist', 'Der Zahnarzt ist um halb vier.'],
    ['de', 'dentist', 'Der Zahnarzt ist um 15 Uhr.'],
    ['de', 'eggs', 'Fällig morgen um 10 Uhr.'],
    ['de', 'eggs', 'Fällig heute um 9 Uhr.'],
    ['de', 'review', 'Am Donnerstag um neun.'],
    ['de', 'review', 'Am 28. November.'],
    ['de', 'body', 'Du bist 7.612 Schritte gegangen.'],
    ['de', 'body', 'Du hast 9 Stunden geschlafen.'],
    ['de', '', 'Du hast elf Aufgaben.'],
    ['fr', 'dentist', 'Le dentiste est à 15 h 30.'],
    ['fr', 'review', 'Jeudi à 9 heures.'],
    ['fr', 'body', 'Vous avez fait 7 612 pas.'],
    ['fr', '', 'Vous avez onze tâches.'],
    ['nl', 'dentist', 'De tandarts is om half vier.'],
    ['es', 'review', 'El jueves a las nueve.'],
    ['ja', 'dentist', '歯医者は15時30分です。'],
    ['ru', 'dentist', 'Стоматолог в 15:30.'],
    ['fi', 'tax', 'Se on odottanut 16 päivää.'],
  ])('in %s [%s] %s', (locale, cited, content) => {
    expect(check(content, cited, locale)).toBe(false);
  });

  it.each([
    ['task', 'tax', 'Begin with “Call Bob back” now.', false],
    ['reminder', '', '“Team lunch” is soon.', false],
    ['advice', '', 'Say “I will look at it” and go on.', true],
    ['task', 'tax', 'Mark “Tax return” as “done”.', true],
    ['task', 'mum', '“Call mum about…” is next.', true],
    ['task', 'mum', '“Call mum about Christmas today” is next.', true],
    ['task', 'tax', '„Steuer 2025 machen“ ist dran.', false],
  ] as const)('of the kind %s [%s] %s: %s', (kind, cited, content, expected) => {
    expect(check(content, cited, 'en', kind)).toBe(expected);
  });
});

it.each([
  ['You have two tasks due today.', '', true],
  ['You have three tasks due tomorrow.', '', true],
  ['You have four tasks due today.', '', false],
  ['You have two meetings today.', '', false],
  ['The move is in three days.', 'move', true],
  ['The move is in four days.', 'move', false],
  ['Three days until the move.', 'move', true],
  ['Read the 137 pages.', 'book', true],
  ['Read the 138 pages.', 'book', false],
] as const)('what is due when is counted, by days of the calendar: %s %s', (content, cited, expected) => {
  const due = (id: string, day: number) => ({
    id,
    detail: { case: 'task' as const, value: { title: id, dueAt: at(day, 18) } },
  });
  const signals = [
    ...['a', 'b'].map((id) => due(id, 24)),
    ...['c', 'd', 'e'].map((id) => due(id, 25)),
    { id: 'book', detail: { case: 'task' as const, value: { title: 'Read up to 137' } } },
    { id: 'move', detail: { case: 'event' as const, value: { title: 'Move', startsAt: at(27, 0, 15) } } },
  ];
  const context = assembleContext(create(PromptContextSchema, { timeZone: 'Europe/Amsterdam', signals }), [], now);
  const signalIds = cited === '' ? [] : [cited];
  expect(isGrounded({ content, kind: 'advice', rationale: '', signalIds }, context)).toBe(expected);
});

describe('whatever the values are', () => {
  const locales = [
    'en-US',
    'en-GB',
    'de-DE',
    'de-CH',
    'fr-FR',
    'nl-NL',
    'es-ES',
    'it-IT',
    'pt-BR',
    'sv-SE',
    'ru-RU',
    'ja-JP',
    'ko-KR',
    'ar-EG',
    'hi-IN',
    'fa-IR',
  ];
  const zone = { timeZone: 'Europe/Amsterdam' } as const;
  const contexts = fc
    .record({
      steps: fc.integer({ min: 100, max: 400_000 }),
      sleepMinutes: fc.integer({ min: 60, max: 1000 }),
      startsAt: fc.integer({ min: now, max: now + 40 * 86_400_000 }).map((ms) => Math.round(ms / 300_000) * 300_000),
    })
    .map((values) => {
      const { steps, sleepMinutes, startsAt } = values;
      const signals = [
        { id: 'body', detail: { case: 'health' as const, value: { steps, sleepMinutes } } },
        {
          id: 'event',
          detail: {
            case: 'event' as const,
            value: { title: 'Rest', startsAt: toTimestamp(startsAt), durationMinutes: 30 },
          },
        },
      ];
      return { ...values, context: assembleContext(create(PromptContextSchema, { ...zone, signals }), [], now) };
    });
  const says = (content: string, cited: string, locale: string, context: TipContext) =>
    isGrounded({ content, kind: 'advice', rationale: '', signalIds: [cited] }, { ...context, locale });

  it.each(locales)('%s: they are grounded as people there write them', (locale) => {
    const formats: readonly Intl.DateTimeFormatOptions[] = [
      { hour: 'numeric', minute: '2-digit' },
      { day: 'numeric', month: 'numeric', year: 'numeric', calendar: 'gregory' },
      { day: 'numeric', month: 'long', calendar: 'gregory' },
      { weekday: 'long' },
    ];
    fc.assert(
      fc.property(contexts, ({ steps, sleepMinutes, startsAt, context }) => {
        expect([steps, says(`+ ${steps.toLocaleString(locale)} +`, 'body', locale, context)]).toEqual([steps, true]);
        const slept = `${Math.floor(sleepMinutes / 60)} h ${sleepMinutes % 60} min`;
        expect([slept, says(slept, 'body', locale, context)]).toEqual([slept, true]);
        for (const format of formats) {
          const text = `+ ${new Intl.DateTimeFormat(locale, { ...zone, ...format }).format(startsAt)} +`;
          expect([text, says(text, 'event', locale, context)]).toEqual([text, true]);
        }
      }),
      { numRuns: 60 },
    );
  });

  it('and not if they are a little different', () => {
    fc.assert(
      fc.property(contexts, fc.integer({ min: 1, max: 9 }), ({ steps, sleepMinutes, startsAt, context }, more) => {
        const wrong = steps + more + (steps % 10 === 0 || (steps + more) % 10 === 0 ? 1 : 0);
        const at = new Intl.DateTimeFormat('en-GB', { ...zone, hour: '2-digit', minute: '2-digit' });
        fc.pre(wrong % 10 !== 0 && context.hourOfDay > 1);
        expect([wrong, says(`${wrong} steps`, 'body', 'en', context)]).toEqual([wrong, false]);
        const slept = `${Math.floor((sleepMinutes + 60) / 60)} h ${sleepMinutes % 60} min`;
        expect([slept, says(slept, 'body', 'en', context)]).toEqual([slept, false]);
        const late = at.format(startsAt + more * 60_000);
        fc.pre(!/:[03][05]$/.test(late));
        expect([late, says(`It is at ${late}.`, 'event', 'en', context)]).toEqual([late, false]);
      }),
      { numRuns: 100 },
    );
  });
});
