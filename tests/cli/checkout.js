// The machine `checkout`, as the screens of this folder show it.
import { assign, setup } from "npm:xstate@5";

export const allowRead = ({ authContext }) => authContext.sub === "u_12";
export const allowWrite = ({ authContext }) => authContext.sub === "u_12";

export default setup({
  guards: { hasBudget: ({ context }) => context.public.total <= 1_000 },
  actions: { add: assign({ public: ({ event }) => ({ total: event.total }) }) },
}).createMachine({
  id: "checkout",
  initial: "cart",
  context: { public: { total: 0 }, approver: "u_81" },
  states: {
    cart: { on: { add: { actions: "add" }, pay: "payment" } },
    payment: {
      type: "parallel",
      on: { approve: { target: "shipped", guard: "hasBudget" }, cancel: "cancelled" },
      after: { [2 * 60 * 60 * 1000]: "cart" },
      states: {
        method: { initial: "card", states: { card: {}, invoice: { tags: "needs-approval" } } },
        fraud: { initial: "checking", states: { checking: {}, cleared: { type: "final" } } },
      },
    },
    back: { type: "history" },
    shipped: { type: "final" },
    cancelled: { type: "final" },
  },
});
