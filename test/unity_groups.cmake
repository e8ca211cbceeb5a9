# Copyright (c) 2026 The safer-ring authors.
# Distributed under the Boost Software License, Version 1.0. See LICENSE.txt.

# Which test files are compiled as one, which parses and instantiates a third less than each by itself:
# files that have no names in common, other than test suites'. One that is in no group, as those that
# choose by a macro what they include, is compiled by itself.
function(safer_ring_unity_group directory group)
  foreach(name IN LISTS ARGN)
    set_source_files_properties("${CMAKE_CURRENT_SOURCE_DIR}/${directory}/${name}.cpp" PROPERTIES
      UNITY_GROUP ${directory}_${group})
  endforeach()
endfunction()

safer_ring_unity_group(conformance 1 accept_stream acceptors beyond_asio buffers byte_channel_ends
  byte_channels)
safer_ring_unity_group(conformance 2 cancellation connecting converting_buffers coroutines datagram_sockets
  deadline_timers)
safer_ring_unity_group(conformance 3 descriptors exceptions executor executor_functions
  executors_of_others fork gated_lookup)
safer_ring_unity_group(conformance 4 handover initial_services interrupted_calls lifetime local_sockets
  messages ordering other_sockets posted_in_handlers)
safer_ring_unity_group(conformance 5 owned_buffers pipes readiness receive_stream registrations
  resolver_lifetime)
safer_ring_unity_group(conformance 6 resolvers run_family serial_ports signal_flags signals)
safer_ring_unity_group(conformance 7 signals_beside_asio starvation starts stream_sockets synchronous
  threads)
safer_ring_unity_group(conformance 8 time_limits timer_clocks timers zero_copy_send)
safer_ring_unity_group(unit 1 backend/simulated_chains ring/registry ring/stream_kinds)
safer_ring_unity_group(unit 2 backend/simulated ring/cancellation_of_writes_and_accepts ring/file_requests
  ring/recycled ring/ring_core ring/socket_operations)
safer_ring_unity_group(unit 3 ring/event_loop_threads ring/owned_buffer ring/owned_transfer
  ring/splice_operation ring/staging)
safer_ring_unity_group(unit 4 ring/accept_streams ring/cancellation ring/loop_mutex ring/operation
  ring/readiness ring/registered_descriptors ring/socket_operations_without_data)
safer_ring_unity_group(unit 5 ring/event_loop ring/file_operations ring/file_reads_at_once ring/fork
  ring/quarantine ring/zero_copy_send)
safer_ring_unity_group(unit 6 backend/fork_watch ring/buffer_pool ring/descriptor_operations ring/driver
  ring/item_streams ring/slot_table ring/timer_queue)
safer_ring_unity_group(kernel 1 at_the_bounds buffer_ring nothing_is_lost polls)
safer_ring_unity_group(kernel 2 item_streams look_ups registered_buffers streams streams_of_threads)
safer_ring_unity_group(kernel 3 backend descriptors fork io_context_pool random_programs streams_of_events)
safer_ring_unity_group(kernel 4 attached datagram_streams memory_after_destruction registered_files signals)
safer_ring_unity_group(kernel 5 chains_and_limits drained io_ring_driving vectored_operations)
safer_ring_unity_group(simulation 1 conversations io_ring programs)
safer_ring_unity_group(simulation 2 lifetimes message_streams splice support/conversation
  support/random_conversations)
safer_ring_unity_group(simulation 3 context_destruction item_streams services zero_copy_send)
safer_ring_unity_group(simulation 4 failing_everywhere leftovers support/injected_failures)
safer_ring_unity_group(simulation 5 support/random_program support/random_program_descriptors
  support/random_program_model)
safer_ring_unity_group(simulation 6 support/random_program_operations support/random_program_streams)
safer_ring_unity_group(conformance_objects 1 bad_input released_sockets)
safer_ring_unity_group(conformance_objects 2 mixed_pairs other_operations)
safer_ring_unity_group(conformance_objects 3 connect_operations ends_of_operations)
safer_ring_unity_group(conformance_objects 4 operations transfer_forms)
safer_ring_unity_group(conformance_io_uring 1 ends_of_operations file_operations foreign_threads
  memory_after_destruction)
safer_ring_unity_group(conformance_io_uring 2 bad_file_input file_tokens random_access_files)
safer_ring_unity_group(conformance_io_uring 3 operations registrations splice_ends)
safer_ring_unity_group(conformance_io_uring 4 file_functions file_lifetimes)
safer_ring_unity_group(conformance_io_uring 5 file_open owned_buffers)
safer_ring_unity_group(conformance_io_uring 6 splice stream_sockets stream_files)
