// A relay: raised events, sends to itself, transitions without an event, and the order of all that.
import { assign, createMachine, raise, sendTo } from "npm:xstate@5";
export { createActor as run } from "npm:xstate@5";

const say = (what) => ({ context, event }) => console.log(what, event.type, context.n);
const add = (by) => assign({ n: ({ context }) => context.n + by });
const toSelf = (type) => sendTo(({ self }) => self, { type });
const isEven = ({ context }) => context.n % 2 === 0;

export default createMachine({
  id: "relay",
  context: { n: 0, public: {} },
  initial: "first",
  on: { late: { actions: say("late") }, add: { actions: [add(1), say("add")] } },
  states: {
    first: {
      exit: [say("leave first"), add(10)],
      on: {
        go: {
          target: "second",
          actions: [toSelf("late"), raise({ type: "hop" }), say("go"), add(1)],
        },
      },
    },
    second: {
      entry: [say("enter second"), raise({ type: "skip" })],
      exit: [say("leave second"), toSelf("late")],
      on: {
        skip: { actions: say("skip") },
        hop: { target: "third", actions: [say("hop"), add(1)] },
      },
    },
    third: {
      entry: say("enter third"),
      always: [
        { guard: isEven, target: "fourth", actions: say("even") },
        { target: "fourth.deep.down", actions: [say("odd"), add(1)] },
      ],
      exit: say("leave third"),
    },
    fourth: {
      initial: "shallow",
      entry: [say("enter fourth"), toSelf("again")],
      exit: say("leave fourth"),
      on: { late: { guard: isEven, actions: say("late in fourth") }, back: "first" },
      states: {
        shallow: { entry: say("shallow"), on: { again: "deep" } },
        deep: {
          entry: say("deep"),
          exit: [say("leave deep"), add(2)],
          initial: "up",
          states: {
            up: { always: { guard: isEven, target: "down" } },
            down: { entry: say("down") },
          },
          on: { again: { actions: [say("again"), add(1)] } },
        },
      },
    },
  },
});

export const allowRead = () => true;
export const allowWrite = () => true;
