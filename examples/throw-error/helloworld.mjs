// An error by throw, from nodejs14.x (an ES module):
//   lambkin invoke examples/throw-error/helloworld.mjs --handler helloworld.myHandler --runtime nodejs22.x --event examples/event.json
class ValidationError extends Error {
  name = 'ValidationError';
}

export const myHandler = async (event) => {
  if (!event.name) throw new ValidationError('the event has no name');
  return `Hello, ${event.name}!`;
};
