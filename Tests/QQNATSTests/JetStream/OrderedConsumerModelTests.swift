import QQCore
import Testing
import Traits

@testable import QQNATS

/// A watch of a bucket in simulated time: messages are lost, answers are late, connections are cut, consumers vanish, values expire, the bucket is deleted and
/// created again, and copies of it lag behind. When the storm is over, the watch must have delivered every value that is in the bucket.
@Suite("A watch in a storm", .ownThread) struct OrderedConsumerModelTests {
    @Test("a watch neither misses nor repeats a value", arguments: 0..<6)
    func storm(part: Int) async {
        var seen = 0
        for seed in 0..<100 {
            // Let other tests use this thread, since there are few.
            await Task.yield()
            var world = World(seed: UInt64(part * 10_000 + seed))
            if let problem = world.run(steps: 400) {
                Issue.record("seed \(part * 10_000 + seed): \(problem)")
                return
            }
            seen += world.seen.count
        }
        // The simulated faults must not be so frequent that nothing arrives.
        #expect(seen > 2000)
    }
}

private struct World {
    struct Stored {
        var key: String
        var revision: UInt64
        var written: UInt64
        var generation: Int
    }

    struct ServerConsumer {
        var inbox: String
        /// The revision up to which the consumer has delivered or skipped entries.
        var cursor: UInt64 = 0
        var count: UInt64 = 0
        var lastSent: UInt64
        /// Time until which the consumer reads `copy`, because it is on a server that lags behind.
        var lagsUntil: UInt64?
        var copy: [Stored] = []
    }

    enum Arrival {
        case message(NATSMessage, inbox: String)
        case created(ConsumerInfo)
        case failed(name: String)
    }

    var numbers: Numbers
    /// Milliseconds since boot.
    var now: UInt64 = 1_000_000
    var watch: OrderedConsumer
    var timer: BootInstant?
    var subscriptions: Set<String> = []
    var isConnected = true
    var isCalm = false
    var pipe: [Arrival] = []
    // The server.
    var bucket: [Stored] = []
    var lastRevision: UInt64 = 0
    var generation = 0
    var consumers: [String: ServerConsumer] = [:]
    // Output of the watch.
    var seen: [KeyValueEntry] = []
    var initialDone = 0
    var problem: String?

    init(seed: UInt64) {
        numbers = Numbers(seed: seed)
        watch = OrderedConsumer(numberedWatch())
    }

    mutating func chance(_ one: UInt64, in all: UInt64) -> Bool { numbers.next() % all < one }

    mutating func run(steps: Int) -> String? {
        for _ in 0..<Int(numbers.next() % 4) { write() }
        feed(.start)
        for _ in 0..<steps where problem == nil { step() }
        calm()
        return problem ?? verdict()
    }

    mutating func step() {
        now += numbers.next() % 400
        switch numbers.next() % 40 {
        case 0..<12: write()
        case 12..<14: if !bucket.isEmpty { bucket.remove(at: Int(numbers.next() % UInt64(bucket.count))) }
        case 14:
            if chance(1, in: 4) {
                bucket = []
                lastRevision = 0
                generation += 1
                consumers = [:]
            }
        case 15: if let name = consumers.keys.sorted().first { deleteConsumer(name, isAnnounced: chance(1, in: 2)) }
        case 16: if isConnected { disconnect() }
        case 17..<19: if !isConnected { connect() }
        case 19: if chance(1, in: 3) { now += 20_000 }
        default: break
        }
        serve()
        arrive(most: Int(numbers.next() % 5))
        tick()
    }

    /// Runs without faults for long enough that the watch notices earlier ones.
    mutating func calm() {
        isCalm = true
        if !isConnected { connect() }
        for _ in 0..<600 where problem == nil {
            now += 200
            serve()
            arrive(most: .max)
            tick()
        }
    }

    func verdict() -> String? {
        if watch.hasEnded { return "the watch has ended" }
        if initialDone != 1 { return "initial values done \(initialDone) times" }
        for stored in bucket {
            guard let last = seen.last(where: { $0.key == stored.key }) else { return "\(stored.key) was never seen" }
            if last.revision != stored.revision || last.written != wall(stored.written) {
                return "\(stored.key) is at \(stored.revision) and was last seen at \(last.revision)"
            }
        }
        return nil
    }

    // MARK: The server

    func wall(_ milliseconds: UInt64) -> WallTime {
        WallTime(seconds: Int64(milliseconds / 1000), nanoseconds: Int64(milliseconds % 1000) * 1_000_000)
    }

    mutating func write() {
        now += 1
        lastRevision += 1
        let key = "k\(numbers.next() % 4)"
        bucket.removeAll { $0.key == key }
        bucket.append(Stored(key: key, revision: lastRevision, written: now, generation: generation))
    }

    mutating func serve() {
        for name in consumers.keys.sorted() {
            guard var consumer = consumers[name] else { continue }
            if let until = consumer.lagsUntil, isCalm || now >= until { consumer.lagsUntil = nil }
            let source = consumer.lagsUntil == nil ? bucket : consumer.copy
            for stored in source.sorted(by: { $0.revision < $1.revision }) where stored.revision > consumer.cursor {
                if !isCalm, chance(1, in: 4) { break }
                consumer.cursor = stored.revision
                consumer.count += 1
                consumer.lastSent = now
                let pending = source.count { $0.revision > stored.revision }
                let reply =
                    "$JS.ACK.KV_b.\(name).1.\(stored.revision).\(consumer.count).\(stored.written * 1_000_000).\(pending)"
                send(NATSMessage(subject: "$KV.b.\(stored.key)", reply: reply), to: consumer.inbox)
            }
            if now >= consumer.lastSent + 5000 {
                consumer.lastSent = now
                let headers = NATSHeaders([.init("Nats-Last-Consumer", "\(consumer.count)")], status: 100, statusText: "Idle Heartbeat")
                send(NATSMessage(subject: consumer.inbox, headers: headers), to: consumer.inbox)
            }
            consumers[name] = consumer
        }
    }

    mutating func send(_ message: NATSMessage, to inbox: String) {
        if !isConnected || !isCalm && chance(1, in: 15) { return }
        pipe.append(.message(message, inbox: inbox))
    }

    mutating func deleteConsumer(_ name: String, isAnnounced: Bool) {
        guard let consumer = consumers.removeValue(forKey: name), isAnnounced else { return }
        send(NATSMessage(subject: consumer.inbox, headers: NATSHeaders(status: 409, statusText: "Consumer Deleted")), to: consumer.inbox)
    }

    mutating func create(_ configuration: ConsumerConfiguration) {
        guard isConnected else { return }
        if !isCalm, chance(1, in: 8) {
            // Refused, or carried out with the answer lost.
            if chance(1, in: 2) { add(configuration) }
            pipe.append(.failed(name: configuration.name))
            return
        }
        add(configuration)
        let source = consumers[configuration.name]?.lagsUntil == nil ? bucket : consumers[configuration.name]?.copy ?? []
        let answer = Arrival.created(ConsumerInfo(name: configuration.name, pending: UInt64(source.count)))
        // The first values can arrive before the answer.
        if chance(1, in: 2) { serve() }
        pipe.append(answer)
    }

    mutating func add(_ configuration: ConsumerConfiguration) {
        var consumer = ServerConsumer(inbox: configuration.deliverSubject, lastSent: now)
        if !isCalm, generation == 0, chance(1, in: 4) {
            consumer.copy = bucket.filter { $0.written + 500 < now }
            consumer.lagsUntil = now + 2000
        }
        consumers[configuration.name] = consumer
    }

    // MARK: The connection

    mutating func disconnect() {
        isConnected = false
        pipe = []
        subscriptions = []
        if chance(1, in: 2) { consumers = [:] }
        feed(.disconnected)
    }

    mutating func connect() {
        isConnected = true
        feed(.reconnected)
    }

    mutating func arrive(most: Int) {
        var left = most
        while left > 0, !pipe.isEmpty, problem == nil {
            left -= 1
            switch pipe.removeFirst() {
            case .message(let message, let inbox):
                // Messages in flight when the subscription ended can still arrive.
                if subscriptions.contains(inbox) || chance(1, in: 2) { feed(.delivery(message)) }
            case .created(let info): feed(.created(info))
            case .failed(let name): feed(.createFailed(name: name, .failed(NATSError(.timedOut, "no answer", isUncertain: true))))
            }
        }
    }

    mutating func tick() {
        guard let due = timer, due.nanoseconds <= now * 1_000_000 else { return }
        timer = nil
        feed(.timer)
    }

    // MARK: The watch

    mutating func feed(_ event: OrderedConsumer.Event) {
        for action in watch.handle(event, now: BootInstant(nanoseconds: now * 1_000_000)) {
            switch action {
            case .subscribe(let inbox): subscriptions.insert(inbox)
            case .unsubscribe(let inbox): subscriptions.remove(inbox)
            case .create(let configuration): create(configuration)
            case .deleteConsumer(_, let name): if isCalm || chance(3, in: 4) { deleteConsumer(name, isAnnounced: false) }
            case .reply: break
            case .deliver(let entry): take(entry)
            case .initialDone: initialDone += 1
            case .timer(let moment): timer = moment
            case .fail(let failure): problem = "failed: \(failure)"
            }
        }
    }

    mutating func take(_ entry: KeyValueEntry) {
        if let last = seen.last {
            if entry.written == last.written { problem = "\(entry.key) at \(entry.revision) twice" }
            // Writes have distinct times, and those of a new bucket come after those of the old one.
            if entry.written < last.written { problem = "\(entry.key) at \(entry.revision) after \(last.revision)" }
        }
        seen.append(entry)
    }
}

/// A fixed sequence of random numbers (SplitMix64), so that a failure is reproducible.
private struct Numbers: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }
}
