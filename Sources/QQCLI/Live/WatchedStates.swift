import QQCore
import Synchronization

/// The last states that `watch` showed, for the tasks that read them and that look for slots.
final class WatchedStates: Sendable {
    private struct State {
        var watched: WatchedNames
        /// The elections that have not been read since an outage, or since the watch of all was begun again.
        var hidden: Set<String> = []
        /// The elections that have been read.
        var known: Set<String> = []
        var hasChanged = false
    }

    private let state: Mutex<State>

    init(_ watched: WatchedNames) { state = Mutex(State(watched: watched)) }

    /// Begins to read all elections.
    /// - Returns: their names.
    func begin() -> [String] {
        state.withLock { state in
            state.hidden = state.known
            return state.watched.elections
        }
    }

    /// Whether each election has been read.
    var areRead: Bool { state.withLock { $0.watched.areRead } }

    /// Whether an election has not been read yet.
    func isUnread(_ election: String) -> Bool { state.withLock { !$0.known.contains(election) } }

    /// Names without slots that had no leader when they were read.
    var unled: [String] { state.withLock { $0.watched.unled } }

    /// Whether any election has changed since it was first read.
    var hasChanged: Bool { state.withLock { $0.hasChanged } }

    func change() { state.withLock { $0.hasChanged = true } }

    func state(of name: String, at now: BootInstant) -> ElectionState? { state.withLock { $0.watched.state(of: name, at: now) } }

    /// Follows the slots of a name from now on, in place of the name.
    /// - Parameter areNew: whether the name has been shown already, without a leader.
    func follow(_ slots: [String], of name: String, areNew: Bool = false) {
        state.withLock { state in
            state.watched.follow(slots, of: name, areNew: areNew)
            if areNew { state.known.formUnion(slots) }
        }
    }

    /// Takes in the state of an election that was read now.
    /// - Returns: its meaning for each name that it belongs to, and whether the election was hidden until now.
    func take(_ found: ElectionState, at now: BootInstant) -> (seen: [WatchedNames.Seen], wasHidden: Bool) {
        state.withLock { state in
            state.known.insert(found.name)
            return (state.watched.take(found, at: now), state.hidden.remove(found.name) != nil)
        }
    }

    /// An outage hides all elections until they are read again.
    func hide() { state.withLock { $0.hidden = $0.known } }
}
