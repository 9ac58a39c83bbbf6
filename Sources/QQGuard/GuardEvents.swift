import QQCore

// What goes into a guarded run's state machine, and what comes out of it.
extension GuardSession {
    public enum Event: Sendable {
        case lease(SessionEvent)
        case leaseEnded(SessionOutcome)
        /// The hooks for the last `.hooks` action are through.
        case hooksRan
        case guardian(Guardian.Report)
        /// The guardian is gone and did not say that everything below it is.
        case guardianEnded
        case signal(Int32)
        /// A round of `.endByForce` is through.
        case forced(Guardian.Round)
        /// What `.look` has found.
        case looked(Guardian.Round)
        /// The process on the terminal was killed.
        case frontEnded
        case timer
    }

    public enum Action: Sendable, Hashable {
        /// Run the hooks for an event once those before them are through.
        case hooks(HookEvent, Grant)
        /// End the hook that runs.
        case endHook
        /// End the hook that runs, and run none of those that wait.
        case endHooks
        /// Orders to the guardian, with the number that it reports back.
        case run(Grant, UInt64)
        case pass(Int32, UInt64, validUntil: BootInstant)
        case terminate(UInt64)
        case kill(UInt64)
        case extend(Grant, UInt64)
        /// Look what lives below this process; `.looked` follows.
        case look
        /// One round of ending the guardian and everything below this process; `.forced` follows.
        case endByForce
        /// Do what the guardian does not.
        case passByForce(Int32, to: Int32)
        case terminateByForce
        /// Give the lease up, or stop campaigning.
        case stopLease
        /// Show by a renewal that the lease is still ours.
        case renewNow
        case commandRuns(Int32)
        case commandStopped(Int32)
        case message(Message)
        case timer(BootInstant)
        case exit(Outcome)
    }

    /// What a person is told.
    public enum Message: Sendable, Hashable {
        case waiting(ElectionState)
        case retrying(CoordinationError, after: Duration)
        case leftBehind(Int)
        case survivor(Int32)
        case steppingDown(by: String)
        case notRenewed(signal: Int32)
        case guardianKilled
        case guardianSilent
        case clockJumped(Duration)
        /// These processes live on, and the lease is left to expire.
        case leftAlive(Int32)
        case releaseFailed(CoordinationError)
        case notWithdrawn(CoordinationError)
        case holding(until: BootInstant)
    }

    public enum Outcome: Sendable, Hashable {
        case refused(ElectionState)
        case timedOut(ElectionState?)
        case failed(CoordinationError)
        case commandEnded(CommandStatus)
        /// errno of execve(2).
        case commandNotRun(Int32)
        /// The command was ended because leadership was.
        case lost(String)
        /// A signal came while there was no command.
        case signalled(Int32)
    }
}
