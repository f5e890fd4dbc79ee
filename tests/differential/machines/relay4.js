// A relay: raised events, sends to itself, transitions without an event, and the order of all that.
import { actions, assign, createMachine, send } from "npm:xstate@4";
export { interpret as run } from "npm:xstate@4";

const { raise } = actions;

const say = (what) => (context, event) => console.log(what, event.type, context.n);
const add = (by) => assign({ n: (context) => context.n + by });
const toSelf = (type) => send(type);
const isEven = (context) => context.n % 2 === 0;

export default createMachine({
  predictableActionArguments: true,
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
          actions: [toSelf("late"), raise("hop"), say("go"), add(1)],
        },
      },
    },
    second: {
      entry: [say("enter second"), raise("skip")],
      exit: [say("leave second"), toSelf("late")],
      on: {
        skip: { actions: say("skip") },
        hop: { target: "third", actions: [say("hop"), add(1)] },
      },
    },
    third: {
      entry: say("enter third"),
      always: [
        { cond: isEven, target: "fourth", actions: say("even") },
        { target: "fourth.deep.down", actions: [say("odd"), add(1)] },
      ],
      exit: say("leave third"),
    },
    fourth: {
      initial: "shallow",
      entry: [say("enter fourth"), toSelf("again")],
      exit: say("leave fourth"),
      on: { late: { cond: isEven, actions: say("late in fourth") }, back: "first" },
      states: {
        shallow: { entry: say("shallow"), on: { again: "deep" } },
        deep: {
          entry: say("deep"),
          exit: [say("leave deep"), add(2)],
          initial: "up",
          states: {
            up: { always: { cond: isEven, target: "down" } },
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
