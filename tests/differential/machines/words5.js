// The words in which random machines are written, for XState 5.
import { assign, cancel, createMachine, enqueueActions, raise as raiseEvent } from "npm:xstate@5";
import { sendTo } from "npm:xstate@5";
export { createActor as run } from "npm:xstate@5";

const say = (name) => ({ context, event }) => console.log(name, event.type, context.n);
const bump = (by) =>
  assign({
    n: ({ context }) => context.n + by,
    trail: ({ context, event }) => [...context.trail, event.type + by].slice(-4),
  });
const raise = (type) => raiseEvent({ type });
const toSelf = (type) => sendTo(({ self }) => self, { type });
const later = (type, delay, id) => raiseEvent({ type }, { delay, id });
const either = (one, other) =>
  enqueueActions(({ check, enqueue }) => {
    for (const action of check("even") ? one : other) enqueue(action);
  });
const divides = (by, rest) => ({ context }) => context.n % by === rest;
const eager = ({ context }) => context.n < 50 && context.n % 7 === 3;

const implementations = {
  actions: { a1: say("a1"), a2: say("a2"), a3: say("a3") },
  guards: { even: divides(2, 0) },
};
