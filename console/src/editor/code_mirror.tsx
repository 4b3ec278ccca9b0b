// CodeMirror as a component: JavaScript, JSON with its errors marked, or plain text.

import { autocompletion, closeBrackets, closeBracketsKeymap } from '@codemirror/autocomplete';
import { defaultKeymap, history, historyKeymap, indentWithTab } from '@codemirror/commands';
import { javascript } from '@codemirror/lang-javascript';
import { json, jsonParseLinter } from '@codemirror/lang-json';
import { bracketMatching, foldGutter, foldKeymap, HighlightStyle, indentOnInput, indentUnit, syntaxHighlighting } from '@codemirror/language';
import { linter, lintGutter, lintKeymap } from '@codemirror/lint';
import { highlightSelectionMatches, search, searchKeymap } from '@codemirror/search';
import { Compartment, EditorState, type Extension, Prec } from '@codemirror/state';
import {
  drawSelection, EditorView, highlightActiveLine, highlightActiveLineGutter, keymap, lineNumbers, type ViewUpdate,
} from '@codemirror/view';
import { tags } from '@lezer/highlight';
import { useEffect, useRef } from 'react';

export type Language = 'javascript' | 'json' | 'text';

export interface Mark {
  line: number;
  column: number;
  /** New for each jump, also to where one has been. */
  turn: number;
}

interface Properties {
  /** Another document: the editor starts anew. */
  document: string;
  text: string;
  language: Language;
  label: string;
  readOnly?: boolean;
  mark?: Mark | undefined;
  onChange?: (text: string) => void;
  onRun?: () => void;
  onSave?: () => void;
}

const colours = HighlightStyle.define([
  { tag: [tags.keyword, tags.operatorKeyword, tags.controlKeyword], color: 'var(--code-keyword)' },
  { tag: [tags.string, tags.special(tags.string), tags.regexp], color: 'var(--code-string)' },
  { tag: [tags.number, tags.bool, tags.null, tags.atom], color: 'var(--code-number)' },
  { tag: [tags.comment], color: 'var(--code-comment)', fontStyle: 'italic' },
  { tag: [tags.function(tags.variableName), tags.function(tags.propertyName)], color: 'var(--code-function)' },
  { tag: [tags.propertyName, tags.definition(tags.propertyName)], color: 'var(--code-property)' },
  { tag: [tags.className, tags.typeName], color: 'var(--code-type)' },
]);

const look = EditorView.theme({
  '&': { height: '100%', fontSize: '13px', backgroundColor: 'var(--code-background)', color: 'var(--code-text)' },
  '.cm-scroller': { fontFamily: 'var(--code-font)', lineHeight: '1.55' },
  '.cm-gutters': { backgroundColor: 'var(--code-background)', color: 'var(--code-gutter)', border: 'none' },
  '.cm-activeLine, .cm-activeLineGutter': { backgroundColor: 'var(--code-active)' },
  '.cm-cursor': { borderLeftColor: 'var(--code-text)' },
  '&.cm-focused .cm-selectionBackground, .cm-selectionBackground': { backgroundColor: 'var(--code-selection) !important' },
  '&.cm-focused': { outline: 'none' },
  '.cm-panels': { backgroundColor: 'var(--code-active)', color: 'var(--code-text)' },
  '.cm-panel.cm-search': { padding: '8px' },
  '.cm-tooltip': { backgroundColor: 'var(--code-background)', color: 'var(--code-text)', border: '1px solid var(--code-gutter)' },
});

const base: Extension[] = [
  lineNumbers(), foldGutter(), highlightActiveLineGutter(), highlightActiveLine(), history(), drawSelection(),
  indentOnInput(), indentUnit.of('  '), bracketMatching(), closeBrackets(), autocompletion(), highlightSelectionMatches(),
  search({ top: true }), syntaxHighlighting(colours), look,
  // Tab indents; Escape and then Tab leaves the editor, as CodeMirror has it.
  keymap.of([...closeBracketsKeymap, ...defaultKeymap, ...searchKeymap, ...historyKeymap, ...foldKeymap, ...lintKeymap, indentWithTab]),
];

function languageOf(language: Language): Extension {
  if (language === 'javascript') return javascript();
  // An empty event is not an error to be shown while one begins to type.
  if (language === 'json') return [json(), linter((view) => (view.state.doc.length === 0 ? [] : jsonParseLinter()(view))), lintGutter()];
  return [];
}

/** With the line ends of a former text: those of Windows stay, where it had no others. The editor itself knows one kind. */
function withEnds(text: string, former: string): string {
  return /\r\n/.test(former) && !/(^|[^\r])\n|\r(?!\n)/.test(former) ? text.replaceAll('\n', '\r\n') : text;
}

export default function CodeMirror(properties: Properties) {
  const { document: name, text, language, label, readOnly = false, mark } = properties;
  const place = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView>(null);
  const latest = useRef(properties);
  latest.current = properties;

  useEffect(() => {
    const run = () => {
      latest.current.onRun?.();
      return latest.current.onRun !== undefined;
    };
    const save = () => {
      latest.current.onSave?.();
      return latest.current.onSave !== undefined;
    };
    const changed = (update: ViewUpdate) => {
      if (update.docChanged) latest.current.onChange?.(withEnds(update.state.doc.toString(), latest.current.text));
    };
    const editor = new EditorView({
      parent: place.current!,
      state: EditorState.create({
        doc: latest.current.text,
        extensions: [
          Prec.highest(keymap.of([{ key: 'Mod-Enter', run }, { key: 'Mod-s', run: save, preventDefault: true }])),
          base,
          new Compartment().of(languageOf(language)),
          EditorView.contentAttributes.of({ 'aria-label': label, tabindex: '0' }),
          EditorView.updateListener.of(changed),
          EditorState.readOnly.of(readOnly),
        ],
      }),
    });
    view.current = editor;
    return () => editor.destroy();
  }, [name, language, label, readOnly]);

  useEffect(() => {
    const editor = view.current;
    if (editor && editor.state.doc.toString() !== text.replace(/\r\n?/g, '\n')) {
      editor.dispatch({ changes: { from: 0, to: editor.state.doc.length, insert: text } });
    }
  }, [text]);

  useEffect(() => {
    const editor = view.current;
    if (!editor || !mark) return;
    const line = editor.state.doc.line(Math.min(Math.max(mark.line, 1), editor.state.doc.lines));
    const anchor = Math.min(line.from + Math.max(mark.column - 1, 0), line.to);
    editor.dispatch({ selection: { anchor }, effects: EditorView.scrollIntoView(anchor, { y: 'center' }) });
    editor.focus();
  }, [mark, name]);

  return <div className="code-editor" ref={place} />;
}
