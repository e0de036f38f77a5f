import { html, svg, type TemplateResult } from 'lit';

/** Drawn for this project on a 24-unit grid; strokes take the colour of the text around them. */
const paths = {
  mic: svg`<rect x="9" y="3" width="6" height="11" rx="3"/><path d="M5.5 11.5a6.5 6.5 0 0 0 13 0M12 18v3"/>`,
  'mic-off': svg`<path d="M9 9v2a3 3 0 0 0 4.6 2.5M15 10.5V6a3 3 0 0 0-5.7-1.3M5.5 11.5a6.5 6.5 0 0 0 10.2 5.3M18.5 11.5c0 1.1-.3 2.1-.7 3M12 18v3M3.5 3.5l17 17"/>`,
  camera: svg`<rect x="2.5" y="6" width="13" height="12" rx="2.5"/><path d="m15.5 10.5 6-3.5v10l-6-3.5"/>`,
  'camera-off': svg`<path d="M6.5 6H5a2.5 2.5 0 0 0-2.5 2.500v7A2.5 2.5 0 0 0 5 18h8a2.5 2.5 0 0 0 2.4-1.800M10.5 6H13a2.5 2.5 0 0 1 2.5 2.500v2l6-3.500v10l-3-1.700M3.5 3.500l17 17"/>`,
  screen: svg`<rect x="2.5" y="4" width="19" height="13" rx="2"/><path d="M8 21h8M12 13.500V8M9.3 10.3 12 7.600l2.7 2.7"/>`,
  'screen-stop': svg`<rect x="2.5" y="4" width="19" height="13" rx="2"/><path d="M8 21h8M9.7 8.200l4.6 4.600M14.3 8.200l-4.6 4.6"/>`,
  people: svg`<circle cx="9" cy="8" r="3.5"/><path d="M2.5 20c.6-3.8 3-6 6.5-6s5.9 2.2 6.5 6M15.5 4.900a3.5 3.5 0 0 1 0 6.200M17.5 14.500c2.2.8 3.6 2.7 4 5.5"/>`,
  settings: svg`<path d="M4 7h9M17 7h3M4 17h3M11 17h9"/><circle cx="15" cy="7" r="2"/><circle cx="9" cy="17" r="2"/>`,
  help: svg`<circle cx="12" cy="12" r="9"/><path d="M9.5 9.300a2.6 2.6 0 0 1 5.1.6c0 1.8-2.6 2.1-2.6 3.900M12 17v.1"/>`,
  leave: svg`<path d="M3.3 15.200c-.9-3.8 3.6-6.7 8.7-6.700s9.6 2.9 8.7 6.700c-.2.9-1 1.2-1.9 1l-2.6-.6c-.8-.2-1.2-.8-1.2-1.600v-1.300c-1.9-.6-4.1-.6-6 0V14c0 .8-.4 1.4-1.2 1.600l-2.6.6c-.9.2-1.7-.1-1.9-1Z"/>`,
  copy: svg`<rect x="8.5" y="8.5" width="12" height="12" rx="2"/><path d="M15.5 8.500v-3a2 2 0 0 0-2-2h-8a2 2 0 0 0-2 2v8a2 2 0 0 0 2 2h3"/>`,
  check: svg`<path d="m4.5 12.5 5 5 10-11"/>`,
  pin: svg`<path d="M8 3.500h8M9.5 3.500v6L6 14h12l-3.5-4.500v-6M12 14v6.5"/>`,
  close: svg`<path d="m5.5 5.5 13 13M18.5 5.500l-13 13"/>`,
  sound: svg`<path d="M4 9.500v5h3.500l5 4v-13l-5 4ZM16 9a4.2 4.2 0 0 1 0 6M18.5 6.500a8 8 0 0 1 0 11"/>`,
  back: svg`<path d="M14.5 5.5 8 12l6.5 6.5"/>`,
} as const;

export type IconName = keyof typeof paths;

/** An icon beside or instead of words; the words are the control's own label. */
export function icon(name: IconName): TemplateResult {
  return html`<svg class="icon" viewBox="0 0 24 24" width="24" height="24" aria-hidden="true" focusable="false" fill="none" stroke="currentColor" stroke-width="1.8" stroke-linecap="round" stroke-linejoin="round">${paths[name]}</svg>`;
}
