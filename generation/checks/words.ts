// The words with which languages say amounts and moments: data for `quantities.ts`. A language that is not here is read by
// its digits alone.

export interface LanguageWords {
  /** Numbers from two on, in words that mean little else. One is left out: in most languages it is also an article. */
  readonly numbers: string;
  /** Days relative to today, as patterns. */
  readonly days: Readonly<Record<'-1' | '0' | '1' | '2', string>>;
  /** Ways to say a time with words: a pattern with one number in it, and the minutes to add to that hour. */
  readonly clock: readonly (readonly [pattern: string, minutes: number])[];
}

export const languageWords: Readonly<Record<string, LanguageWords>> = {
  en: {
    numbers:
      '2 two,3 three,4 four,5 five,6 six,7 seven,8 eight,9 nine,10 ten,11 eleven,12 twelve,13 thirteen,14 fourteen,' +
      '15 fifteen,16 sixteen,17 seventeen,18 eighteen,19 nineteen,20 twenty,25 twenty-five,30 thirty,40 forty,' +
      '45 forty-five,50 fifty,60 sixty,70 seventy,80 eighty,90 ninety,100 hundred,1000 thousand,12 dozen',
    days: { '-1': 'yesterday', '0': 'today|tonight|this (?:morning|afternoon|evening)', '1': 'tomorrow', '2': '(?!)' },
    clock: [
      ['half past #', 30],
      ['quarter past #', 15],
      ['quarter to #', -15],
      ['five past #', 5],
      ['ten past #', 10],
      ['twenty past #', 20],
      ['five to #', -5],
      ['ten to #', -10],
      ['twenty to #', -20],
    ],
  },
  de: {
    numbers:
      '2 zwei,2 zwo,3 drei,4 vier,5 fünf,6 sechs,7 sieben,8 acht,9 neun,10 zehn,11 elf,12 zwölf,13 dreizehn,14 vierzehn,' +
      '15 fünfzehn,16 sechzehn,17 siebzehn,18 achtzehn,19 neunzehn,20 zwanzig,25 fünfundzwanzig,30 dreißig,40 vierzig,' +
      '45 fünfundvierzig,50 fünfzig,60 sechzig,70 siebzig,80 achtzig,90 neunzig,100 hundert,1000 tausend,12 dutzend',
    days: { '-1': 'gestern', '0': 'heute', '1': 'morgen', '2': 'übermorgen' },
    clock: [
      ['halb #', -30],
      ['viertel nach #', 15],
      ['viertel vor #', -15],
      ['dreiviertel #', -15],
      ['fünf nach #', 5],
      ['zehn nach #', 10],
      ['fünf vor #', -5],
      ['zehn vor #', -10],
    ],
  },
  fr: {
    numbers:
      '2 deux,3 trois,4 quatre,5 cinq,6 six,7 sept,8 huit,10 dix,11 onze,12 douze,13 treize,14 quatorze,15 quinze,' +
      '16 seize,17 dix-sept,18 dix-huit,19 dix-neuf,20 vingt,25 vingt-cinq,30 trente,40 quarante,45 quarante-cinq,' +
      '50 cinquante,60 soixante,90 quatre-vingt-dix,100 cent,1000 mille,12 douzaine',
    days: { '-1': 'hier', '0': "aujourd['’]hui|ce (?:matin|soir)", '1': 'demain', '2': 'après-demain' },
    clock: [
      ['# heures? et demie', 30],
      ['# heures? et quart', 15],
      ['# heures? moins le quart', -15],
    ],
  },
  nl: {
    numbers:
      '2 twee,3 drie,4 vier,5 vijf,6 zes,7 zeven,8 acht,9 negen,10 tien,11 elf,12 twaalf,13 dertien,14 veertien,' +
      '15 vijftien,16 zestien,17 zeventien,18 achttien,19 negentien,20 twintig,25 vijfentwintig,30 dertig,40 veertig,' +
      '45 vijfenveertig,50 vijftig,60 zestig,90 negentig,100 honderd,1000 duizend,12 dozijn',
    days: { '-1': 'gisteren', '0': 'vandaag|vanavond|vanmiddag|vanmorgen', '1': 'morgen', '2': 'overmorgen' },
    clock: [
      ['half #', -30],
      ['kwart over #', 15],
      ['kwart voor #', -15],
      ['vijf over #', 5],
      ['tien over #', 10],
      ['vijf voor #', -5],
      ['tien voor #', -10],
    ],
  },
  es: {
    numbers:
      '2 dos,3 tres,4 cuatro,5 cinco,6 seis,7 siete,8 ocho,9 nueve,10 diez,11 once,12 doce,15 quince,20 veinte,' +
      '25 veinticinco,30 treinta,40 cuarenta,45 cuarenta y cinco,50 cincuenta,60 sesenta,90 noventa,100 cien,1000 mil,12 docena',
    days: { '-1': 'ayer', '0': 'hoy|esta (?:mañana|tarde|noche)', '1': '(?<!la )mañana', '2': 'pasado mañana' },
    clock: [
      ['# y media', 30],
      ['# y cuarto', 15],
      ['# menos cuarto', -15],
    ],
  },
  it: {
    numbers:
      '2 due,3 tre,4 quattro,5 cinque,7 sette,8 otto,9 nove,10 dieci,11 undici,12 dodici,15 quindici,20 venti,' +
      '25 venticinque,30 trenta,40 quaranta,45 quarantacinque,50 cinquanta,60 sessanta,90 novanta,100 cento,1000 mille,12 dozzina',
    days: { '-1': 'ieri', '0': 'oggi|stamattina|stasera', '1': 'domani', '2': 'dopodomani' },
    clock: [
      ['# e mezza', 30],
      ['# e un quarto', 15],
      ['# meno un quarto', -15],
    ],
  },
  pt: {
    numbers:
      '2 dois,2 duas,3 três,4 quatro,5 cinco,6 seis,7 sete,8 oito,9 nove,10 dez,11 onze,12 doze,15 quinze,20 vinte,' +
      '30 trinta,40 quarenta,50 cinquenta,60 sessenta,90 noventa,100 cem,1000 mil,12 dúzia',
    days: { '-1': 'ontem', '0': 'hoje', '1': 'amanhã', '2': 'depois de amanhã' },
    clock: [
      ['# e meia', 30],
      ['# e quinze', 15],
    ],
  },
};

/** Units of time, in minutes, longest words first. Of these languages and a few more at once: they hardly collide. */
export const timeUnits = {
  second: 'seconds?|secs?|sekunden?|secondes?|seconden?|segundos?|second[oi]|секунд\\p{L}*|秒|초',
  minute:
    'minutes?|mins?|minuten?|minuut|minuut(?:je|jes)|minuten|minutos?|minut[oi]|minuter|minutter|minut(?:y|ę)?|мин\\p{L}*|хвилин\\p{L}*|dakika|分钟|分鐘|分間|分|분',
  hour: 'hours?|hrs?|stunden?|std|heures?|uur|uren|horas?|ore|ora|timmar|timme|godzin\\p{L}*|часов|часа|час|годин\\p{L}*|saat|小时|小時|時間|시간|h',
  day: 'days?|tage?n?|jours?|dag(?:en|ar|e)?|d[ií]as?|giorn[oi]|dni|дн\\p{L}*|день|gün|天|日間|일',
  week: 'weeks?|wochen?|semaines?|we(?:ek|ken)|semanas?|settiman[ae]|tygodni\\p{L}*|недел\\p{L}*|周|週間|주',
  month: 'months?|monate?n?|mois|maand(?:en)?|mes(?:es)?|mes[ei]|m[êe]s(?:es)?|месяц\\p{L}*|个月|か月|개월',
  year: 'years?|jahre?n?|ans|années?|jaar|jaren|años?|ann[oi]|anos?|лет|год\\p{L}*|年間',
} as const;

export const percentWords =
  '%|percent|per cent|prozent|pour ?cent|procent|por ?ciento|per ?cento|por ?cento|процент\\p{L}*';

/** What comes before the hour of a clock. */
export const clockPrepositions =
  'at|by|from|to|till|until|before|after|around|um|ab|bis|vor|nach|gegen|von|à|vers|avant|après|dès|om|tot|voor|na|rond|vanaf|las|la|alle|dalle|ore|hasta|às|até|в|до|к';

/** What a tip may ask for a few of, without anybody having counted them. */
export const effortNouns =
  'breaths?|sentences?|lines?|words?|things?|bullet points?|bullets?|points?|ideas?|pages?|paragraphs?|sips?|glass(?:es)?|stretches|steps?|' +
  'atemzüge|sätze|zeilen|wörter|worte|dinge|sachen|stichpunkte|ideen|seiten|schlucke?|schritte|gläser?|glas|' +
  'respirations?|phrases?|lignes?|mots?|choses|idées?|gorgées?|verres?|étapes?|' +
  'ademhalingen|zinnen|regels|woorden|dingen|punten|ideeën|stappen|slokken|' +
  'respiraciones|frases|líneas|palabras|cosas|ideas|páginas|pasos|respiri|frasi|righe|parole|cose|idee|pagine|passi';

/** Words beside a few minutes that make them something measured or scheduled, rather than a suggested effort. */
export const claimWords =
  'slept|asleep|sleep|active|activity|exercised|moved|walked|lasts?|lasted|long|meeting|starts?|begins?|due|late|ago|left|remaining|until|overdue|' +
  'geschlafen|schlaf|aktiv|bewegung|bewegt|dauert|lang|beginnt|startet|fällig|spät|verspätet|übrig|seit|' +
  'dormi|sommeil|actif|active|activité|dure|commence|débute|échéance|retard|reste|depuis|il y a|' +
  'geslapen|slaap|actief|duurt|begint|te laat|geleden|over|dormido|sueño|activo|dura|empieza|comienza|vence|hace|' +
  'dormito|sonno|attivo|inizia|comincia|scade|fa';
