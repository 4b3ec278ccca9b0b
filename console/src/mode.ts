// Light or dark: as the system has it, or as was chosen here.

import { applyMode, Mode } from '@cloudscape-design/global-styles';

const KEPT = 'lambkin.mode';
const system = matchMedia('(prefers-color-scheme: dark)');

export type Choice = 'system' | 'light' | 'dark';

export function choice(): Choice {
  const kept = localStorage.getItem(KEPT);
  return kept === 'light' || kept === 'dark' ? kept : 'system';
}

export function showMode(): void {
  const dark = choice() === 'dark' || (choice() === 'system' && system.matches);
  applyMode(dark ? Mode.Dark : Mode.Light);
}

export function choose(mode: Choice): void {
  localStorage.setItem(KEPT, mode);
  showMode();
}

system.addEventListener('change', showMode);
