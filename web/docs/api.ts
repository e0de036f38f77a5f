import swagger from 'swagger-ui-dist/swagger-ui-es-bundle.js';
import 'swagger-ui-dist/swagger-ui.css';


const example = document.querySelector('#example');
if (example) example.textContent = (example.textContent ?? '').replace('/v1/rooms', `${location.origin}/v1/rooms`);

swagger({
  url: '/v1/openapi.json',
  domNode: document.querySelector('#reference'),
  // Its deep links put a link inside each button, which a screen reader cannot reach.
  deepLinking: false,
  docExpansion: 'list',
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  persistAuthorization: false,
  // Asks no validator in the Internet.
  validatorUrl: null,
});
