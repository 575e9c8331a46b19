// The words with which languages say amounts and moments: data for `quantities.ts`. A language that is not here is read by
// its digits alone.

export interface LanguageWords {
  /** Numbers from two on, in words that mean little else. One is left out: in most languages it is also an article. */
  readonly numbers: string;
  /** Days relative to today, as patterns. */
  readonly days: Readonly<Record<'-1' | '0' | '1' | '2', string>>;
  /** Ways to say a time with words: a pattern with one number in it, and the minutes to add to that hour. */
  readonly clock: readonly (readonly [pattern: string, minutes: number])[];
  readonly proposals: ProposalWords;
}

/** How a language tells what is from what might be done. Patterns, each of whole words. */
export interface ProposalWords {
  /** Says that something is or was so: what stands in one clause with it was counted or measured. */
  readonly reports: string;
  /** The same, if an amount follows it, such as `is`. */
  readonly reportsNext: string;
  /** Right before an amount, it speaks of one that there is: `the`, `your`. */
  readonly definite: string;
  /** How long something takes. Of a step it is a guess; of a calendar entry, and of what is the person's, it is a fact. */
  readonly takes: string;
  /** Before `takes`, it is a step that takes as long. */
  readonly step: string;
  /** `if you have`: what only looks like a report. */
  readonly ifThereIs: string;
  /** Asks for something, at the beginning of a clause or after a word that lets an order follow. */
  readonly asks: string;
  /** After which an order may follow. */
  readonly beforeOrder: string;
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
    proposals: {
      reports:
        "you(?:['’]ve| have(?! to)| had| were| are|['’]re| did| got| spent| slept| sat| wrote| made| took| saw| ran| lost| began| \\p{L}+ed)|your \\p{L}+ (?:has|had|was|were)|ha(?:s|d) been|been|there(?:['’]s| (?:is|are|was|were|will be))|left|remain(?:s|ing)?|(?:until|till)(?! (?:it|then|you|the timer|your timer|the alarm))|ago|since|late|overdue|behind|so far|already|yesterday|last (?:night|week|month)|on average|per (?:day|week|month)|lasts?|lasted|starts|started|begins|began|ends|ended|due|from now|(?:minutes?|hours?|days?|weeks?) (?:away|long)|(?:is|are) (?:free|unplanned|empty|yours|open|waiting|booked|busy)|waiting|unread|unanswered|missed|pending",
      reportsNext: "(?<!(?:what|that|which|who|whatever)\\s)(?:is|are|was|were)|will be|it['’]s",
      definite: 'the|your|those|these|all|other|another|my|both|his|her|their',
      takes: 'takes|took|lasts|will (?:take|last)',
      step: 'that|this|which|what|part|step|thing|something|anything|one|only|just',
      ifThereIs:
        "(?:if|when|whenever|once|as soon as|unless|while|in case) (?:you(?:['’]ve| have| had| get| are)|there (?:is|are))",
      asks: 'take|give|spend|set|set aside|block|reserve|plan|schedule|protect|keep|put|use|do|walk|write|draft|sketch|list|name|mark|pick|choose|select|read|answer|reply|send|call|ring|breathe|drink|stretch|work|rest|try|allow|add|find|open|make|tidy|clear|delete|look|count|stand|lie|nap|say|ask|note|jot|invest|devote|book|begin|finish|sort|throw|hide|go|sit|run|leave|practise|practice|prepare|fill|limit|cut|close|hold|tell|repeat|play|learn|eat|sing|move|focus',
      beforeOrder:
        "and|then|now|first|or|so|please|just|also|instead|today|tonight|tomorrow|to|can|could|might|may|should|let['’]s",
    },
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
    proposals: {
      reports:
        '(?:du|ihr|sie) (?:hast|hattest|warst|bist|habt|hattet|wart|seid|haben|hatten|waren|sind|schliefst|liefst|gingst)|(?:hast|hattest|warst|bist) du|haben sie|es (?:gibt|sind|waren)|übrig|verbleib\\p{L}*|bleiben|bleibt|bis (?:zum|zur|zu|dein\\p{L}*|der|die|das)(?! (?:wecker|timer))|seit|beginnt|begann|startet|fängt|endet|fällig|überfällig|spät|verspät\\p{L}*|verspätet|gestern|schon|bereits|bisher|durchschnittlich|pro (?:tag|woche)|ungelesen\\p{L}*|offen\\p{L}*|wart(?:en|et)|geschafft|geschlafen',
      reportsNext: 'ist|sind|war|waren|vor|^noch|braucht|kostet',
      definite: 'der|die|das|den|dein(?:e|en|er|em)?|ihr(?:e|en|er)?|diese[nr]?|alle|anderen|beide|übrigen',
      takes: 'dauert|dauern|lang',
      step: 'das|was|die nur|nur|schritt|teil|etwas|überweisung|such|lies|schreib|geh|mach|arbeite|ruh',
      ifThereIs: '(?:wenn|falls|sobald|solange) (?:du|ihr|sie|es)',
      asks: 'nimm|gib|stell|stelle|block|blocke|reserviere|plane|plan|leg|lege|mach|mache|geh|gehe|schreib|schreibe|such|suche|wähl|wähle|skizziere|zähl|zähle|nenn|nenne|markier|markiere|notier|notiere|lies|trink|trinke|atme|ruh|ruhe|arbeite|ruf|räum|räume|öffne|beantworte|schick|schicke|finde|lass|halt|halte|setz|setze|versuch|versuche|streiche|streich|steh|dehne|lern|lerne|übe|üb|sing|probier|probiere|iss|nutze|nutz|verschieb|verschiebe|entscheide|erledige|nehmen sie|wählen sie|schreiben sie',
      beforeOrder: 'und|dann|jetzt|zuerst|oder|also|bitte|heute|danach|kannst du|könntest du|zu',
    },
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
    proposals: {
      reports:
        "(?:vous (?:avez|aviez|êtes|étiez)|tu (?:as|avais|es|étais))|il y a|(?:reste|restent|restant\\p{L}*)|depuis|commence|commencent|débute|débutent|finit|échéance|retard|hier|déjà|en moyenne|par (?:jour|semaine)|non lus?|jusqu['’]\\p{L}+|attend(?:ent)?",
      reportsNext: 'est|sont|était|étaient|faut',
      definite: 'les|vos|tes|ces|mes|autres|le|votre|ton|leurs',
      takes: 'dure|durent|prend|prennent',
      step: 'qui|cela|ça|ce qui|chose',
      ifThereIs:
        "(?:si|quand|dès que|lorsque|chaque fois que) (?:vous|tu)|s['’]il y a|s['’]il vous reste|s['’]il te reste",
      asks: 'prenez|prends|donnez|donne|accordez|accorde|réglez|règle|bloquez|bloque|réservez|réserve|prévoyez|prévois|faites|fais|marchez|marche|écrivez|écris|notez|note|choisissez|choisis|listez|liste|lisez|lis|répondez|réponds|respirez|respire|buvez|bois|reposez|repose|travaillez|travaille|appelez|appelle|rangez|range|ouvrez|ouvre|trouvez|trouve|consacrez|consacre|gardez|garde|mettez|mets|essayez|essaie|comptez|compte|envoyez|envoie|partez|pars|restez|étirez|étire|utilisez|utilise|passez|passe|dites|dis|couchez|couche|préparez|prépare|fermez|ferme|sortez|sors',
      beforeOrder: "et|puis|maintenant|ou|donc|ensuite|d['’]abord|pouvez|peux|pourriez|pourrais",
    },
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
    proposals: {
      reports:
        '(?:je|u|jij|jullie) (?:hebt|had|was|bent|heeft|hebben|hadden|waren|sliep|liep|deed)|(?:heb|had|was|ben) je|er (?:is|zijn|waren)|geleden|begint|begon|start|eindigt|te laat|resterend\\p{L}*|blijft|blijven|tot (?:de|het|je|aan)(?! (?:wekker|timer))|sinds|gisteren|gemiddeld|per (?:dag|week)|ongelezen|open|wachten|wacht',
      reportsNext: 'is|zijn|was|waren|al|^nog|kost',
      definite: 'de|het|je|jouw|uw|deze|die|alle|andere|beide',
      takes: 'duurt|duren|lang',
      step: 'dat|wat|die|iets',
      ifThereIs: '(?:als|wanneer|zodra) (?:je|u|jij|er)',
      asks: 'neem|geef|zet|blokkeer|reserveer|plan|leg|maak|ga|loop|schrijf|zoek|kies|schets|tel|noem|markeer|noteer|lees|drink|adem|rust|werk|bel|ruim|open|beantwoord|stuur|vind|laat|houd|probeer|doe|sta|rek|leer|oefen|zing|eet|gebruik|besteed',
      beforeOrder: 'en|dan|nu|eerst|of|dus|daarna|kun je|kan je|om te',
    },
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
    proposals: {
      reports:
        'has \\p{L}+(?:ado|ido|to|cho)|ha(?:s|bía|y)|tienes|tiene|tenías|llevas|lleva|quedan?|faltan?|\\p{L}+(?:aste|iste)|estuviste|empiezan?|comienzan?|terminan?|vencen?|venció|retraso|ayer|ya|desde|hasta(?! que)|en promedio|de media|por (?:día|semana)|pendientes?|sin leer|abiert[ao]s',
      reportsNext: 'está|están|estás|es|era|hace|fue|fueron',
      definite: 'los|las|tus|sus|estos|estas|otros|otras|mis|el|tu',
      takes: 'dura|duran|tarda|lleva',
      step: 'que|eso|esto|cosa',
      ifThereIs: '(?:si|cuando|en cuanto) (?:tienes|tiene|te quedan|le quedan|hay)',
      asks: 'toma|tómate|da|date|dedica|dedícale|pon|ponte|bloquea|reserva|planea|haz|camina|escribe|elige|escoge|anota|lista|nombra|marca|lee|responde|contesta|envía|llama|respira|bebe|descansa|trabaja|ordena|abre|busca|encuentra|usa|prueba|cuenta|mira|sal|deja|di|estira|estírate|guarda|gasta|invierte|prepara',
      beforeOrder: 'y|luego|ahora|primero|o|después|puedes|podrías|hoy',
    },
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
    proposals: {
      reports:
        "(?:hai|ha|avete|avevi|avrai|sei stat[oa]|eri)|mancano|manca|restano|resta|rimangono|rimane|inizia|iniziano|comincia|finisce|scade|scadono|scadut[aoie]|ritardo|ieri|già|in media|al (?:giorno|mese)|non lett[ie]|apert[ei]|fa|fino a\\p{L}*|ci sono|c['’]è",
      reportsNext: 'è|sono|era|erano|da',
      definite: 'i|gli|le|tuoi|tue|questi|queste|altri|altre|il|tuo',
      takes: 'dura|durano|ci vogliono|richiede',
      step: 'che|questo|cosa',
      ifThereIs: '(?:se|quando|appena) (?:hai|avete|ci sono|ti restano)',
      asks: "prendi|prenditi|dai|dedica|dedicale|dedicagli|imposta|blocca|riserva|pianifica|fai|fa['’]|cammina|scrivi|scegli|elenca|nomina|segna|leggi|rispondi|manda|chiama|respira|bevi|riposa|riposati|lavora|riordina|apri|cerca|trova|usa|prova|conta|guarda|esci|lascia|metti|concediti|tieni|prepara",
      beforeOrder: 'e|poi|adesso|ora|prima|o|puoi|potresti|oggi',
    },
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
    proposals: {
      reports:
        '(?:você|vc|tu) (?:tem|tens|teve|tinha|esteve|está|fez|viu|\\p{L}+[oei]u|\\p{L}+ava)|tens|faltam?|restam?|começam?|terminam?|vencem?|venceu|atrasad[ao]s?|atraso|ontem|já|desde|até|em média|por (?:dia|semana)|não lid[ao]s|pendentes?|abert[ao]s|existem',
      reportsNext: 'é|são|era|foi|foram|há|está|estão',
      definite: 'os|as|seus|suas|teus|tuas|estes|estas|outros|outras|o|seu',
      takes: 'dura|duram|leva|levam|demora',
      step: 'que|isso|isto|coisa',
      ifThereIs: '(?:se|quando|assim que) (?:você|tu|houver)(?: (?:tem|tens|tiver))?|se tens|se tiver(?:es)?',
      asks: 'tome|toma|dê|dá|dedique|dedica|ponha|põe|bloqueie|bloqueia|reserve|reserva|planeje|faça|faz|caminhe|caminha|escreva|escreve|escolha|escolhe|anote|anota|liste|lista|marque|marca|leia|lê|responda|responde|envie|envia|ligue|liga|respire|respira|beba|bebe|descanse|descansa|trabalhe|trabalha|arrume|abra|abre|procure|encontre|use|usa|conte|conta|olhe|olha|saia|sai|deixe|deixa|guarde|prepare',
      beforeOrder: 'e|depois|agora|primeiro|ou|pode|poderia|hoje',
    },
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

/** What comes right before a length of time that says how far off something is. */
export const aheadPrepositions = 'in|within|dans|d’ici|en|over|binnen|tra|fra|em|daqui a|через|dentro de';

/** What comes before an hour in a span of them. */
export const betweenWords = 'between|zwischen|entre|tussen|tra|fra';

/**
 * What is counted, in classes that are never taken for another: as many steps as tasks is not the same. Of all languages at
 * once.
 */
export const countedNouns: Readonly<Record<string, string>> = {
  step: 'steps?|schritten?|schritte|stappen|pasos|passi|passos|pas',
  beat: 'bpm|beats|schläge|battements|slagen|latidos|battiti|batimentos',
  task: 'tasks?|to-?dos?|aufgaben?|tâches?|taken|taak|tareas?|attività|compiti|tarefas?',
  event:
    'meetings?|appointments?|entries|events?|calls|termine?n?|besprechung(?:en)?|réunions?|rendez-vous|afspraken|afspraak|vergadering(?:en)?|reuniones|reunión|citas?|riunion[ei]|appuntament[io]|reuniões|reunião|compromissos?',
  euro: 'euros?|eur|€',
  dollar: 'dollars?|dólares|dollari|usd|\\$',
  pound: 'pounds?|pfund|gbp|£',
  franc: 'francs?|franken|chf',
  kilometre: 'km|kilomet(?:er|re)s?|kilomètres?|kilómetros?|chilometri|quilômetros?',
  mile: 'miles?|meilen?|millas?|miglia',
  metre: 'met(?:er|re)s?|mètres?|metros?|metri',
  foot: 'feet|foot|ft',
  calorie: 'k?cal|(?:kilo)?calories?|kalorien?|calorías?|calorie|calorias?',
  kilogram: 'kg|kilos?|kilograms?|kilogramm',
  litre: 'ml|millilit(?:er|re)s?|lit(?:er|re)s?|litros?|litri',
};

/** What may stand between a number and what it counts. */
export const countedWith =
  'open|other|more|overdue|whole|of your|of the|of these|offenen?|anderen?|deiner|überfälligen?|de vos|de tes|autres|de tus|van je|andere';

/**
 * Words that end like the plural of what is counted and are not one, and those that stand for a task as well as for anything
 * else.
 */
export const notCounted =
  'is|was|has|this|its|as|us|yes|his|less|always|perhaps|things|times|les|des|vos|tus|las|los|mes|pas|plus|más|mais|dans|sous|vers|tes|ses|nous|vous|después|depois|antes|tras|menos|moins|puis|alors|choses|cosas|coisas|dos|das|nas|nos|lunes|martes|miércoles|jueves|viernes|morgens|abends|fois|jours|otras|outras|autres|others|demás';

/** What a tip may ask for a few of, without anybody having counted them. */
export const effortNouns =
  'breaths?|sentences?|lines?|words?|things?|bullet points?|bullets?|points?|ideas?|pages?|paragraphs?|sips?|glass(?:es)?|stretches|steps?|' +
  'topics?|questions?|atemzüge|sätze|zeilen|wörter|worte|dinge|sachen|stichpunkte|ideen|seiten|schlucke?|schritte|gläser?|glas|' +
  'respirations?|phrases?|lignes?|mots?|choses|idées?|gorgées?|verres?|étapes?|' +
  'ademhalingen|zinnen|regels|woorden|dingen|punten|ideeën|stappen|slokken|' +
  'respiraciones|frases|líneas|palabras|cosas|ideas|páginas|pasos|respiri|frasi|righe|parole|cose|idee|pagine|passi|' +
  'linhas|palavras|coisas|ideias|passos|respirações';

/** Ways to work or to breathe that have numbers in their names. */
export const methodNouns =
  'rules?|rhythm|method|technique|breathing|principle|split|regel|rhythmus|methode|technik|atmung|prinzip|règle|rythme|méthode|ritme|techniek|ademhaling|regla|ritmo|método|técnica|respiración|regola|metodo|tecnica|regra|respiração';

/** Ones who number what to do, and before what number. */
export const stepNouns = 'steps?|schritt|étape|stap|paso|passo|fase|phase';

/** Entries of a calendar, right after a length of time: a 30-minute meeting. */
export const entryNouns =
  'meeting|appointment|call|review|session|event|lunch|commute|termin|besprechung|réunion|rendez-vous|afspraak|vergadering|reunión|cita|riunione|appuntamento|reunião|consulta';

/** What makes some of a whole the most important ones, rather than those that there are. */
export const matterWords =
  '(?:that|which) (?:matter|count|are most)|die (?:heute )?(?:zählen|wichtig)|qui comptent|die tellen|que (?:más )?importan|que cuentan|che contano|que importam|(?:most )?important|main|big(?:gest)?|wichtigsten?|principa\\p{L}+|plus important\\p{L}*|belangrijkste|más importantes|più importanti|mais importantes';
