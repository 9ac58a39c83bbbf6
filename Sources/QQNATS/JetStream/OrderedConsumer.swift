import QQCore

/// A watch over keys of a bucket that survives lost messages, lost consumers and reconnects: every change that is still in the bucket is delivered
/// once, in order. Pure: events go in, actions come out.
///
/// A message that is missing shows in the consumer's own count of what it delivered, in the next message or heartbeat. Then, and whenever the
/// consumer is in doubt, another one takes its place.
///
/// The new one starts with the last value of each key again, and what was delivered before is dropped. nats.go starts at the sequence after the last
/// one instead; but the server quietly lowers a start beyond its last sequence, so that after a bucket was deleted and made anew the values written
/// before the watch came back would be missed. As buckets keep one value of each key, both ways deliver the same otherwise.
struct OrderedConsumer: Sendable {
    struct Configuration: Sendable {
        var bucket: String
        /// A key, or a pattern such as `>` or `cooldown.*`.
        var keys = ">"
        /// How long the server is silent at most.
        var heartbeat: Duration = .seconds(5)
        /// Makes names that were never used before, for consumers.
        var newName: @Sendable () -> String
        /// Makes subjects that were never used before, to deliver to.
        var newInbox: @Sendable () -> String

        var stream: String { JetStreamAPI.stream(ofBucket: bucket) }
        var filter: String { JetStreamAPI.keySubject(bucket: bucket, key: keys) }
        /// After how much silence the consumer counts as lost.
        var patience: Duration { heartbeat * 5 / 2 }
    }

    enum Event: Sendable {
        case start
        /// The answer to `create`; that to an earlier one than the last is passed over.
        case created(ConsumerInfo)
        case createFailed(name: String, JetStreamFailure)
        /// Anything that arrived at a deliver subject.
        case delivery(NATSMessage)
        case disconnected
        case reconnected
        /// The time that `timer` asked for has come.
        case timer
        case stop
    }

    enum Action: Sendable, Hashable {
        case subscribe(String)
        case unsubscribe(String)
        case create(ConsumerConfiguration)
        /// Nobody waits for the answer.
        case deleteConsumer(stream: String, name: String)
        /// An empty message to this subject: flow control.
        case reply(String)
        case deliver(KeyValueEntry)
        /// All that was there at the start has been delivered. Comes once.
        case initialDone
        /// Ask again at this moment; takes the place of the moment asked for before.
        case timer(BootInstant)
        /// It is over.
        case fail(JetStreamFailure)
    }

    private struct Consumer {
        var name: String
        var inbox: String
        var isCreated = false
        /// How many messages it has delivered to us.
        var delivered: UInt64 = 0
        var lastSign: BootInstant
    }

    private enum State {
        case idle
        case running(Consumer)
        case pausing(until: BootInstant)
        case disconnected
        case ended
    }

    static let firstPause: Duration = .milliseconds(100)
    static let longestPause: Duration = .seconds(5)

    let configuration: Configuration
    private var state = State.idle
    private var initialIsDone = false
    /// How many consumers in a row came to nothing.
    private var failures = 0
    private var lastRevision: UInt64 = 0
    private var lastWritten = WallTime.goZero

    init(_ configuration: Configuration) { self.configuration = configuration }

    /// Whether nothing more will come.
    var hasEnded: Bool {
        if case .ended = state { true } else { false }
    }

    mutating func handle(_ event: Event, now: BootInstant) -> [Action] {
        switch (event, state) {
        case (_, .ended): return []
        case (.start, .idle): return begin(now)
        case (.start, _): return []
        case (.stop, _): return end()
        case (_, .idle): return []
        case (.reconnected, _):
            let left = abandon()
            failures = 0
            return left + begin(now)
        case (.disconnected, _):
            // The server removes the consumer by itself when nobody has listened for a while.
            let left = unsubscribe()
            state = .disconnected
            return left
        case (.created(let info), .running(let consumer)) where info.name == consumer.name: return created(consumer, info, now)
        case (.createFailed(let name, let failure), .running(let consumer)) where name == consumer.name:
            return Self.isWorthRetrying(failure) ? restart(now) : end() + [.fail(failure)]
        case (.created, _), (.createFailed, _): return []
        case (.delivery(let message), .running(let consumer)): return arrived(message, consumer, now)
        case (.delivery, _): return []
        case (.timer, .running(let consumer)) where consumer.isCreated:
            let limit = consumer.lastSign + configuration.patience
            return now >= limit ? restart(now) : [.timer(limit)]
        case (.timer, .pausing(let until)): return now >= until ? begin(now) : [.timer(until)]
        case (.timer, _): return []
        }
    }

    // MARK: Consumers come and go

    private mutating func begin(_ now: BootInstant) -> [Action] {
        let consumer = Consumer(name: configuration.newName(), inbox: configuration.newInbox(), lastSign: now)
        state = .running(consumer)
        return [
            .subscribe(consumer.inbox),
            .create(
                ConsumerConfiguration(
                    stream: configuration.stream, name: consumer.name, filter: configuration.filter, deliverSubject: consumer.inbox,
                    heartbeat: configuration.heartbeat)),
        ]
    }

    private mutating func created(_ consumer: Consumer, _ info: ConsumerInfo, _ now: BootInstant) -> [Action] {
        var consumer = consumer
        consumer.isCreated = true
        consumer.lastSign = now
        state = .running(consumer)
        // What it has delivered before it answered may still be on its way.
        let isComplete = info.pending == 0 && info.delivered <= consumer.delivered
        return [.timer(now + configuration.patience)] + (isComplete ? initialDone() : [])
    }

    /// Another consumer in the place of this one: at once, then with pauses that grow until one shows that it works.
    private mutating func restart(_ now: BootInstant) -> [Action] {
        let left = abandon()
        failures += 1
        if failures == 1 { return left + begin(now) }
        let pause = min(Self.firstPause * (1 << min(failures - 2, 16)), Self.longestPause)
        state = .pausing(until: now + pause)
        return left + [.timer(now + pause)]
    }

    private func unsubscribe() -> [Action] {
        if case .running(let consumer) = state { [.unsubscribe(consumer.inbox)] } else { [] }
    }

    private func abandon() -> [Action] {
        guard case .running(let consumer) = state else { return [] }
        return [.unsubscribe(consumer.inbox), .deleteConsumer(stream: configuration.stream, name: consumer.name)]
    }

    private mutating func end() -> [Action] {
        let left = abandon()
        state = .ended
        return left
    }

    private static func isWorthRetrying(_ failure: JetStreamFailure) -> Bool {
        failure.isPassing || failure.isUncertain
    }

    // MARK: Messages

    private mutating func arrived(_ message: NATSMessage, _ consumer: Consumer, _ now: BootInstant) -> [Action] {
        // A stored message may have a status line; one that a consumer delivers is known by its reply subject.
        if let reply = message.reply.flatMap({ DeliveryReply($0) }) {
            return reply.consumer == consumer.name ? delivered(message, reply, consumer, now) : []
        }
        guard message.subject == consumer.inbox, let status = message.headers.status else { return [] }
        // The consumer was deleted, its server steps down, the stream is gone: creating another one tells.
        guard status == 100 else { return restart(now) }
        return sign(message, consumer, now)
    }

    private mutating func delivered(
        _ message: NATSMessage, _ reply: DeliveryReply, _ consumer: Consumer, _ now: BootInstant
    ) -> [Action] {
        guard reply.consumerSequence == consumer.delivered + 1 else { return restart(now) }
        var consumer = consumer
        consumer.delivered += 1
        note(consumer, now)
        var actions: [Action] = []
        if let entry = KeyValueEntry.delivered(message, as: reply, bucket: configuration.bucket), isNews(entry) {
            actions.append(.deliver(entry))
        }
        return actions + (reply.pending == 0 ? initialDone() : [])
    }

    /// A heartbeat, or a question whether we keep up.
    private mutating func sign(_ message: NATSMessage, _ consumer: Consumer, _ now: BootInstant) -> [Action] {
        let last = message.headers["Nats-Last-Consumer"].flatMap { UInt64($0) }
        if let last, last != consumer.delivered { return restart(now) }
        note(consumer, now)
        if let reply = message.reply ?? message.headers["Nats-Consumer-Stalled"] { return [.reply(reply)] }
        // It has nothing to deliver: what was pending has expired on the way.
        return last != nil && consumer.isCreated ? initialDone() : []
    }

    private mutating func note(_ consumer: Consumer, _ now: BootInstant) {
        var consumer = consumer
        consumer.lastSign = now
        failures = 0
        state = .running(consumer)
    }

    private mutating func initialDone() -> [Action] {
        if initialIsDone { return [] }
        initialIsDone = true
        return [.initialDone]
    }

    /// A consumer delivers in the order of revisions, so all up to the last one was delivered or has been overwritten: one that is not higher was seen
    /// before, or comes from a server that lags behind. But one that was written later is of another bucket under the same name.
    private mutating func isNews(_ entry: KeyValueEntry) -> Bool {
        guard entry.revision > lastRevision || entry.written > lastWritten else { return false }
        lastRevision = entry.revision
        lastWritten = max(lastWritten, entry.written)
        return true
    }
}
