// A parcel: parallel regions whose names are in no order, each with an end; what they do in common.
import { assign, createMachine } from "npm:xstate@5";
export { createActor as run } from "npm:xstate@5";

const say = (what) => ({ context, event }) => console.log(what, event.type, context.seen.length);
const see = (what) => assign({ seen: ({ context }) => [...context.seen, what] });

const region = (name, first, last, event) => ({
  initial: first,
  entry: say(`${name} begins`),
  exit: say(`${name} is left`),
  on: { look: { actions: [see(name), say(`look at ${name}`)] } },
  states: {
    [first]: { tags: [first], on: { [event]: last } },
    [last]: { type: "final", entry: [see(last), say(last)] },
  },
  onDone: { actions: say(`${name} is done`) },
});

export default createMachine({
  id: "parcel",
  context: { seen: [], public: {} },
  initial: "packing",
  states: {
    packing: {
      type: "parallel",
      on: { restart: { target: "packing", reenter: true } },
      states: {
        wrap: region("wrap", "open", "closed", "close"),
        address: region("address", "blank", "written", "write"),
        stamp: {
          type: "parallel",
          states: {
            value: region("value", "unpaid", "paid", "pay"),
            colour: region("colour", "white", "red", "paint"),
          },
        },
      },
      onDone: { target: "sent", actions: say("packed") },
    },
    sent: {
      entry: say("sent"),
      after: { 60_000: { target: "here", actions: see("the road") } },
      on: { lose: "lost" },
    },
    lost: { on: { find: "sent" } },
    here: { type: "final", entry: say("here") },
  },
});

export const allowRead = () => true;
export const allowWrite = () => true;
