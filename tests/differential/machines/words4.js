// The words in which random machines are written, for XState 4.
import { actions, assign, createMachine, send } from "npm:xstate@4";
export { interpret as run } from "npm:xstate@4";

const { cancel, choose, raise } = actions;

const say = (name) => (context, event) => console.log(name, event.type, context.n);
const bump = (by) =>
  assign({
    n: (context) => context.n + by,
    trail: (context, event) => [...context.trail, event.type + by].slice(-4),
  });
const toSelf = (type) => send(type);
const later = (type, delay, id) => send(type, { delay, id });
const either = (one, other) => choose([{ cond: "even", actions: one }, { actions: other }]);
const divides = (by, rest) => (context) => context.n % by === rest;
const eager = (context) => context.n < 50 && context.n % 7 === 3;

const implementations = {
  actions: { a1: say("a1"), a2: say("a2"), a3: say("a3") },
  guards: { even: divides(2, 0) },
};
