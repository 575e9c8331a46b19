import { describe, expect, it } from 'vitest';
import { maybeIn } from './language.ts';

describe('maybeIn lets through', () => {
  it.each([
    ['en', 'Open the form and fill in the first page; that takes ten minutes.'],
    ['en-GB', 'Call the dentist before lunch.'],
    ['', 'Call the dentist before lunch.'],
    ['en', 'Lunch: croissants, café, déjà vu.'],
    ['en', 'Öffne “Steuererklärung für das Finanzamt und die Bank” now.'],
    ['en', 'OK.'],
    ['en', 'Read the poem: der und die, das ist, and rest.'],
    ['en', '🌻🌻🌻'],
    ['de', 'Öffne das Formular und fülle nur die erste Seite aus.'],
    ['de-AT', 'Ruf jetzt in der Praxis an.'],
    ['de', 'Standup-Meeting: Update im Call, dann Deep Work.'],
    ['fr', 'Ouvrez le formulaire et remplissez seulement la première page.'],
    ['nl', 'Open het formulier en vul alleen de eerste pagina in.'],
    ['es', 'Abre el formulario y rellena solo la primera página.'],
    ['it', 'Apri il modulo e compila solo la prima pagina.'],
    ['pt-BR', 'Abra o formulário e preencha só a primeira página.'],
    ['sv', 'Öppna formuläret och fyll bara i den första sidan.'],
    ['nb', 'Åpne skjemaet og fyll bare ut den første siden.'],
    ['af', 'Maak die vorm oop en vul net die eerste bladsy in.'],
    ['fi', 'Avaa lomake ja täytä vain ensimmäinen sivu.'],
    ['hu', 'Nyisd meg az űrlapot, és töltsd ki az első oldalt.'],
    ['ru', 'Откройте форму и заполните только первую страницу.'],
    ['ja', '書類を開いて、最初のページだけ書きましょう。'],
    ['ja', 'Zoomで会議を始めましょう。'],
    ['zh-TW', '打開表格，只填第一頁。'],
    ['ko', '양식을 열고 첫 페이지만 작성하세요.'],
    ['ar', 'افتح النموذج واملأ الصفحة الأولى فقط.'],
    ['hi', 'फ़ॉर्म खोलें और केवल पहला पन्ना भरें।'],
    ['sr', 'Otvori obrazac i popuni samo prvu stranu.'],
    ['sr', 'Отвори образац и попуни само прву страну.'],
    ['sr-Latn', 'Otvori obrazac i popuni samo prvu stranu.'],
    ['ignore-previous', 'Anything at all may be the right one.'],
    ['x', 'Anything at all may be the right one.'],
  ])('%s: %s', (locale, text) => {
    expect(maybeIn(locale, text)).toBe(true);
  });
});

describe('maybeIn refuses', () => {
  it.each([
    ['en', 'Öffne das Formular und fülle nur die erste Seite aus, dann ist es gut.'],
    ['en', 'Ouvrez le formulaire et remplissez seulement la première page pour votre dossier.'],
    ['en', 'Open het formulier en vul alleen de eerste pagina in.'],
    ['en', 'Откройте форму и заполните только первую страницу.'],
    ['en', 'Откройте форму PDF и заполните только первую страницу.'],
    ['en', '書類を開いて、最初のページだけ書きましょう。'],
    ['de', 'Open the form and fill in the first page; that is the way to start now.'],
    ['fr', 'Open the form and fill in the first page; that is the way to start now.'],
    ['nl', 'Open the form and fill in the first page; that is the way to start now.'],
    ['fi', 'Open the form and fill in the first page; that is what you do now.'],
    ['nl', 'Öffne das Formular und fülle nur die erste Seite aus, dann ist es gut für dich.'],
    ['ja', 'Open the form and fill in the first page.'],
    ['zh', 'Откройте форму и заполните только первую страницу.'],
    ['ru', 'Open the form and fill in the first page.'],
    ['sr-Latn', 'Отвори образац и попуни само прву страну.'],
    ['el', 'Open the form and fill in the first page.'],
  ])('%s: %s', (locale, text) => {
    expect(maybeIn(locale, text)).toBe(false);
  });
});
