/// Something that goes wrong in a world, at a moment, for a while. A value, so that it can be left out.
public struct Fault: Sendable, Hashable {
    /// In the place of a contender or a machine: the one that leads when the fault begins.
    public static let leader = -1
    /// In the place of a machine of servers: all of them.
    public static let every = -1

    public enum What: Sendable, Hashable {
        /// SIGKILL for the process of a contender.
        case kill(Int)
        /// Another signal for it.
        case signal(Int, Int32)
        /// The process ends that the shell has started, or the session.
        case endFront(Int)
        /// SIGSTOP, and SIGCONT at the end.
        case pause(Int)
        case killGuardian(Int)
        case pauseGuardian(Int)
        /// The process and its guardian at once, as a freezer of cgroups does it.
        case pauseBoth(Int)
        case killBoth(Int)
        /// The process stops between two steps now and then; in a million of its steps.
        case stutter(Int, chance: Int64, longest: Nanoseconds)
        case stutterGuardian(Int, chance: Int64, longest: Nanoseconds)
        /// The machine of a contender, by its place.
        case suspend(Int)
        /// It is a virtual machine that is paused, so that its clock does not count the time; its wall clock is set at the end, or not.
        case pauseMachine(Int, setsWall: Bool)
        case setWall(Int, by: Nanoseconds)
        /// A link between a machine of contenders and one of servers.
        case cut(Int, Int, Direction)
        /// Messages one way are late by this, and a little more.
        case delay(Int, Int, Direction, by: Nanoseconds)
        case worsen(Int, Int, loss: Int64, repeats: Int64, slowness: Nanoseconds)
        /// The servers on a machine end, and start at the end.
        case restartServer(Int)
        case pauseServer(Int)
        /// One of `SimulatedSystem.faults`.
        case system(Int, argument: UInt64)
    }

    public enum Direction: Sendable, Hashable, CaseIterable {
        case toServer, fromServer, both
    }

    public var what: What
    public var at: Nanoseconds
    /// How long it takes; 0 for what happens at once.
    public var length: Nanoseconds

    public var end: Nanoseconds { at + length }

    public init(_ what: What, at: Nanoseconds, length: Nanoseconds = 0) {
        self.what = what
        self.at = at
        self.length = length
    }

    /// The contender that it is about; nil if it is about none.
    var contender: Int? {
        switch what {
        case .kill(let number), .signal(let number, _), .endFront(let number), .pause(let number), .killGuardian(let number),
            .pauseGuardian(let number),
            .pauseBoth(let number), .killBoth(let number), .stutter(let number, _, _), .stutterGuardian(let number, _, _):
            number
        default: nil
        }
    }
}
