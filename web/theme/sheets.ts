import { unsafeCSS, type CSSResult } from 'lit';
import base from './base.css?inline';

/** The base look, for shadow roots: adopted as one shared constructable stylesheet. */
export const baseSheet: CSSResult = unsafeCSS(base);

/** A `.css` file imported with `?inline`, ready to be adopted. */
export const sheet = (css: string): CSSResult => unsafeCSS(css);
