// One scenario of k6, told by the environment; what it measured goes to a file.
import http from 'k6/http';

const bodies = JSON.parse(open(__ENV.BODIES));
const params = { headers: { 'Content-Type': 'application/json' } };

export const options = {
  discardResponseBodies: true,
  scenarios: { load: JSON.parse(__ENV.SCENARIO) },
  summaryTrendStats: ['med', 'p(99)', 'max'],
};

export default function () {
  http.post(__ENV.URL, bodies[(__VU * 7919 + __ITER) % bodies.length], params);
}

export function handleSummary(data) {
  return { [__ENV.SUMMARY]: JSON.stringify(data.metrics) };
}
