import QQCore

// The inputs and outputs of a guarded run's state machine.
extension GuardSession {
    public enum Event: Sendable {
        case lease(SessionEvent)
        case leaseEnded(SessionOutcome)
        /// The hooks of a `.hooks` action have ended.
        case hooksRan
        case guardian(Guardian.Report)
        /// The guardian has ended without reporting that everything below it has ended.
        case guardianEnded
        case signal(Int32)
        /// A round of `.endByForce` has ended.
        case forced(Guardian.Round)
        /// The result of `.look`.
        case looked(Guardian.Round)
        /// The front process, or the session that started this process, has ended.
        case frontEnded
        case timer
    }

    public enum Action: Sendable, Hashable {
        /// Run the hooks for an event after the hooks that were requested before.
        case hooks(HookEvent, Grant)
        /// End the running hook.
        case endHook
        /// End the running hook, and do not run those that wait.
        case endHooks
        /// Send the guardian an order, with the number that it reports back.
        case run(Grant, UInt64)
        case pass(Int32, UInt64, validUntil: BootInstant)
        case terminate(UInt64)
        case kill(UInt64)
        case extend(Grant, UInt64)
        /// Count the live descendants of this process; `.looked` follows.
        case look
        /// One round of ending the guardian and everything below this process; `.forced` follows.
        case endByForce
        /// Send the signal in the guardian's place.
        case passByForce(Int32, to: Int32)
        case terminateByForce
        /// Release the lease, or stop campaigning.
        case stopLease
        /// Renew now, to confirm that the lease is still held.
        case renewNow
        case commandRuns(Int32)
        case commandStopped(Int32)
        case message(Message)
        case timer(BootInstant)
        case exit(Outcome)
    }

    /// A message for the user.
    public enum Message: Sendable, Hashable {
        /// An event of the lease session that means the same with and without a command.
        case lease(SessionEvent)
        case leftBehind(Int)
        case survivor(Int32)
        case steppingDown(by: String)
        case notRenewed(signal: Int32)
        case guardianKilled
        case guardianSilent
        case clockJumped(Duration)
        /// This process survives, and the lease is left to expire.
        case leftAlive(Int32)
        case holding(until: BootInstant)
        /// The command ran longer than allowed, and is being ended.
        case ranTooLong(Duration)
    }

    public enum Outcome: Sendable, Hashable {
        case refused(ElectionState)
        case timedOut(ElectionState?)
        case timedOutInOutage(CoordinationError)
        case failed(CoordinationError)
        case commandEnded(CommandStatus)
        /// The command was ended because it ran longer than allowed.
        case ranTooLong
        /// errno of execve(2).
        case commandNotRun(Int32)
        /// The command was ended because the term was.
        case lost(String)
        /// A signal arrived while no command was running.
        case signalled(Int32)
    }
}
