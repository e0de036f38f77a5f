import { fileURLToPath } from 'node:url';
import { defineConfig, type Plugin } from 'vitest/config';

const page = (name: string): string => fileURLToPath(new URL(`${name}.html`, import.meta.url));

/** Where the hub runs while pages are developed with `npm run dev`. */
const hub: string = process.env['TUPPENCE_URL'] ?? 'http://localhost:8080';

/** The same policy that the binary sends; the API reference alone needs inline styles (Swagger UI makes them). */
const csp = (styles: string): string =>
  `default-src 'none'; script-src 'self'; style-src ${styles}; img-src 'self' data: blob:; font-src 'self'; connect-src 'self'; ` +
  `media-src 'self' blob:; worker-src 'self'; manifest-src 'self'; frame-src 'self'; base-uri 'none'; form-action 'self'`;

/** Serves the pages under the addresses the binary serves them under. */
function addresses(): Plugin {
  const rewrite = (url: string): string => {
    const path: string = url.split(/[?#]/)[0] ?? '/';
    if (path.startsWith('/r/')) return '/call.html';
    if (path === '/console' || path.startsWith('/console/')) return '/console.html';
    if (path === '/demo') return '/demo.html';
    if (path === '/docs/api') return '/docs-api.html';
    if (path === '/docs/problems') return '/docs-problems.html';
    return url;
  };
  return {
    name: 'tuppence-addresses',
    configureServer(server) {
      server.middlewares.use((request, _response, next) => {
        request.url = rewrite(request.url ?? '/');
        next();
      });
    },
    configurePreviewServer(server) {
      server.middlewares.use((request, response, next) => {
        const api: boolean = (request.url ?? '').startsWith('/docs/api');
        response.setHeader('Content-Security-Policy', csp(api ? "'self' 'unsafe-inline'" : "'self'"));
        request.url = rewrite(request.url ?? '/');
        next();
      });
    },
  };
}

export default defineConfig({
  appType: 'mpa',
  plugins: [addresses()],
  build: {
    outDir: 'dist',
    target: 'es2023',
    cssTarget: ['chrome123', 'firefox120', 'safari17.5'],
    // The policy forbids inline code and data: addresses, and every browser we support preloads modules itself.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 1600,
    rolldownOptions: {
      input: {
        index: page('index'),
        call: page('call'),
        console: page('console'),
        demo: page('demo'),
        'docs-api': page('docs-api'),
        'docs-problems': page('docs-problems'),
        404: page('404'),
      },
    },
  },
  server: { proxy: { '/v1': { target: hub, ws: true }, '/.well-known': hub } },
  preview: { proxy: { '/v1': { target: hub, ws: true }, '/.well-known': hub } },
  test: { include: ['**/*.test.ts'], exclude: ['node_modules/**', 'dist/**'], environment: 'node' },
});
