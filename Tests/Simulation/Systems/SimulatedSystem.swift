import QQCore

/// A system as worlds have it: the model of its servers, and the way its real coordinator is made. One value says everything, as
/// `SystemDescription` does.
public struct SimulatedSystem: Sendable {
    /// The name for `simulate --system`.
    public var name: String
    /// The TTLs to draw from.
    public var ttls: [Duration] = [.seconds(1), .seconds(3), .seconds(15), .seconds(30)]
    /// Parts in a million by which the clocks of machines, servers and contenders, are fast or slow at most. The margin of a twentieth of
    /// the TTL covers `docs/guarding.md`'s "few parts in a thousand".
    public var largestDrift: Int64 = 2_000
    /// Whether each term's token is greater than those of the terms before it.
    public var tokensGrow = true
    /// Whether two that both take the lease for their own, by their own clocks, are a failure although nothing is at work.
    public var checksHolders = true
    /// Whether a term is over for others as soon as its work and its guardian are, as with a lock that both inherit.
    public var workEndsTerms = false
    /// Whether processes one after the other can have the same identity, as with `--id`.
    public var canKeepIdentity = false
    /// Whether each contender on its machine keeps its identity, as a node on NATS does.
    public var alwaysKeepsIdentity = false
    /// Whether several contenders can have one identity at a time, as those of one `--id` or of one host: one of them at most may lead.
    public var canShareIdentity = false
    /// Whether a keepalive that was killed is started again with the grant that it had saved.
    public var canContinue = false
    /// The longest time that one request of its coordinator takes, with all that the client does in it. Liveness and stopping are measured
    /// with it.
    public var patience: Duration = .seconds(10)
    /// What nobody leading may take beyond TTL, longest pause between retries and `patience`.
    public var slack: Duration = .seconds(10)
    /// The retries and pauses that are its defaults.
    public var retry = RetryPolicy()
    /// The faults of servers that its model knows; the others are not drawn.
    public var knowsServerRestart = true
    public var knowsServerPause = true
    /// The most machines that contenders run on.
    public var mostHosts: Int64 = 3
    /// Whether names can have slots. Its coordinator then has to be a whole `Coordinator`.
    public var hasSlots = false
    /// How operators make holders step down; empty if they do not. Its coordinator then has to be `SteppingDown`. By force only if that
    /// cannot put two at work.
    public var stepDowns: [StepDownKind] = []
    /// Whether contenders and servers are on different machines, so that links can be cut and bad.
    public var hasNetwork = true
    /// Faults that only this system has.
    public var faults: [SystemFault] = []
    /// Programs of others that contend, too.
    public var peers: [Peer] = []
    /// Makes the servers of a world. Everything about them that varies is drawn from `world.generator(.server)`.
    public var makeServer: @Sendable (World, ServerSetting) -> any SimulatedServer

    public init(name: String, makeServer: @escaping @Sendable (World, ServerSetting) -> any SimulatedServer) {
        self.name = name
        self.makeServer = makeServer
    }
}

public enum StepDownKind: Sendable, Hashable {
    case asking, byForce
}

/// What a server's model is told of its world.
public struct ServerSetting: Sendable {
    public var election: String
    public var times: LeaseTimes
    /// To be used for its machines: `world.makeHost(name, drift: setting.drift(&random))`.
    public var largestDrift: Int64

    public func drift(_ random: inout Generator) -> Int64 { random.within(-largestDrift...largestDrift) }
}

/// A fault that only one system has, by its place in `SimulatedSystem.faults`.
public struct SystemFault: Sendable {
    public var words: StaticString
    /// The longest time that it takes; 0 for what happens at once.
    public var longest: Nanoseconds
    /// How often it is drawn, by comparison with others; the usual ones have 10.
    public var weight: Int64 = 10
    /// Whether somebody has to lead although it is under way.
    public var isHarmless = false

    public init(_ words: StaticString, longest: Nanoseconds, weight: Int64 = 10, isHarmless: Bool = false) {
        self.words = words
        self.longest = longest
        self.weight = weight
        self.isHarmless = isHarmless
    }
}

/// The servers of one world.
public protocol SimulatedServer: AnyObject {
    /// The machines of the servers, for cuts, pauses and restarts.
    var hosts: [Host] { get }

    /// The coordinator of a new process. It calls the servers by `process.call` and `Pipe`, takes the time from `process.clock`, starts
    /// tasks with `executorPreference: process.executor`, and draws from `process.random`.
    func coordinator(for process: SimProcess, identity: String) -> any Campaigning

    /// Whether a term is in force at the servers now, by their clocks, whoever asks: with its token, under its holder's identity. Nil if the model cannot say, or
    /// if something other than time, its holder and its successors can have ended it, as an operator can.
    func isHeld(_ term: Term) -> Bool?

    /// For how long from now the lease of a term lasts at least, as the servers have promised by carrying out the newest request for it. Nil if the model cannot say.
    func timeLeft(_ term: Term) -> Nanoseconds?

    /// The server programs on a machine end, and start again with what they had stored. Connections have been broken already.
    func restarts(_ host: Host)

    /// A fault of this system begins; `argument` is drawn for it, of any size.
    func begin(_ fault: Int, argument: UInt64)
    /// A fault that takes time is over.
    func end(_ fault: Int, argument: UInt64)
}

extension SimulatedServer {
    public func isHeld(_ term: Term) -> Bool? { nil }
    public func timeLeft(_ term: Term) -> Nanoseconds? { nil }
    public func restarts(_ host: Host) {}
    public func begin(_ fault: Int, argument: UInt64) {}
    public func end(_ fault: Int, argument: UInt64) {}
}

/// A program of others that contends for the election.
public struct Peer: Sendable {
    public var name: String
    /// Starts it in `context.process`. It ends the process by `process.end()`, and is started again after a pause. What it holds it tells
    /// the checker by `checker.elected`, `extended` and `ended`, if it is bound to the same rules.
    public var start: @Sendable (PeerContext) -> Void

    public init(name: String, start: @escaping @Sendable (PeerContext) -> Void) {
        self.name = name
        self.start = start
    }
}

public struct PeerContext {
    public let process: SimProcess
    public let identity: String
    public let election: String
    public let times: LeaseTimes
    public let server: any SimulatedServer
}
