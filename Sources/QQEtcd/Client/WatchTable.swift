import FoundationEssentials

/// The watches of a process on one stream, which can be opened again at another member without a loss. Pure.
package struct WatchTable: Sendable {
    package typealias Subscription = UInt64

    package enum Action: Sendable {
        case send(Etcdserverpb_WatchRequest)
        case deliver(EtcdWatch.Event, to: Subscription)
        /// Deliver this as the last event.
        case end(EtcdWatch.Event, of: Subscription)
        /// The login with which the stream was opened is not valid any more: its watches are to be asked for on another one.
        case logIn(EtcdFailure)
    }

    private struct Watch {
        var subscription: Subscription
        var keys: EtcdKeys
        /// The first revision that was not reported yet.
        var next: Int64
    }

    /// By the id that this process has chosen. Ids are not used again.
    private var watches: [Int64: Watch] = [:]
    private var lastID: Int64 = 0
    private var lastSubscription: Subscription = 0
    /// Watches that were asked for on the present stream, in order: the server answers in this order, without the id if it refuses.
    private var asked: [Int64] = []
    /// By subscription: the watches that the server has not confirmed since they were asked for first. Those of others have begun.
    private var starting: [Subscription: Set<Int64>] = [:]

    package init() {}

    package var isEmpty: Bool { watches.isEmpty }

    /// Adds watches of one reader.
    /// - Parameter isOpen: whether there is a stream to ask on; if not, `opened` asks later.
    package mutating func subscribe(_ keys: [EtcdKeys], from revision: Int64, isOpen: Bool) -> (Subscription, [Action]) {
        lastSubscription += 1
        var actions: [Action] = []
        for keys in keys {
            lastID += 1
            watches[lastID] = Watch(subscription: lastSubscription, keys: keys, next: revision)
            starting[lastSubscription, default: []].insert(lastID)
            if isOpen { actions.append(ask(lastID)) }
        }
        return (lastSubscription, actions)
    }

    private mutating func ask(_ id: Int64) -> Action {
        asked.append(id)
        let watch = watches[id]
        return .send(
            .with { request in
                request.createRequest = .with { create in
                    (create.key, create.rangeEnd) = (Data(watch?.keys.key ?? []), Data(watch?.keys.end ?? []))
                    (create.startRevision, create.watchID) = (watch?.next ?? 0, id)
                    // Many changes with large values are more than an answer can have.
                    create.fragment = true
                }
            })
    }

    /// A new stream is open: asks for all watches.
    package mutating func opened() -> [Action] {
        asked = []
        return watches.keys.sorted().map { ask($0) }
    }

    /// A reader is gone: cancels its watches.
    package mutating func unsubscribe(_ subscription: Subscription, isOpen: Bool) -> [Action] {
        let ids = watches.filter { $0.value.subscription == subscription }.map(\.key).sorted()
        starting[subscription] = nil
        return ids.compactMap { id in
            watches[id] = nil
            guard isOpen else { return nil }
            return .send(.with { $0.cancelRequest = .with { $0.watchID = id } })
        }
    }

    /// Ends all watches, because no stream can be opened.
    package mutating func failed(_ failure: EtcdFailure) -> [Action] {
        let subscriptions = Set(watches.values.map(\.subscription)).sorted()
        (watches, starting, asked) = ([:], [:], [])
        return subscriptions.map { .end(.lost(failure), of: $0) }
    }

    package mutating func received(_ response: Etcdserverpb_WatchResponse, at endpoint: String) -> [Action] {
        var id = response.watchID
        if response.created, !asked.isEmpty {
            let first = asked.removeFirst()
            // A refused watch has the id -1.
            if response.canceled { id = first }
        }
        guard let watch = watches[id] else { return [] }
        if response.canceled {
            let failure = EtcdFailure(watchRefusal: response.cancelReason, at: endpoint)
            // The server looks at the login for each new watch. Those that it has confirmed go on.
            if failure.meaning == .authTokenInvalid { return [.logIn(failure)] }
            return cancelled(watch.subscription, response.compactRevision > 0 ? .compacted(response.compactRevision) : .lost(failure))
        }
        if response.created {
            // A watch from the present revision on.
            if watch.next == 0 { watches[id]?.next = EtcdRevision.after(response.header.revision) }
            return confirmed(id, watch.subscription)
        }
        guard let last = response.events.last else { return [] }
        // The rest of a revision can follow in the next part.
        watches[id]?.next = max(watch.next, response.fragment ? last.kv.modRevision : EtcdRevision.after(last.kv.modRevision))
        let changes = response.events.compactMap { EtcdChange($0) }
        return changes.isEmpty ? [] : [.deliver(.changed(changes), to: watch.subscription)]
    }

    private mutating func confirmed(_ id: Int64, _ subscription: Subscription) -> [Action] {
        guard starting[subscription]?.remove(id) != nil, starting[subscription]?.isEmpty == true else { return [] }
        starting[subscription] = nil
        return [.deliver(.began, to: subscription)]
    }

    private mutating func cancelled(_ subscription: Subscription, _ event: EtcdWatch.Event) -> [Action] {
        // The server knows nothing of the cancelled one any more, and ignores that it is cancelled again.
        unsubscribe(subscription, isOpen: true) + [.end(event, of: subscription)]
    }
}
