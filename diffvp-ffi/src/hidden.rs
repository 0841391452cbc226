//! Functions of dependencies that would be exported beside ours, hidden.
//!
//! The decoder of JPEG 2000 is a Rust translation of OpenJPEG and keeps its C names. Exported, they would answer
//! the calls of a host that uses the OpenJPEG of ITK, GDCM or DCMTK, or be answered by it. A linker gives a symbol the
//! narrowest visibility that any object file asks for, so asking once is enough, also with link-time optimisation.
//! A test compares what is exported with `symbols.txt`, so that a new name is noticed.

macro_rules! hide {
    ($($name:literal)*) => {
        #[cfg(all(unix, not(target_vendor = "apple"), not(miri)))]
        core::arch::global_asm!($(concat!(".hidden ", $name)),*);
        #[cfg(target_vendor = "apple")]
        core::arch::global_asm!($(concat!(".private_extern _", $name)),*);
    };
}

hide! {
    "opj_codec_set_threads" "opj_create_compress" "opj_create_decompress" "opj_decode"
    "opj_decode_tile_data" "opj_decoder_set_strict_mode" "opj_destroy_codec" "opj_destroy_cstr_index"
    "opj_destroy_cstr_info" "opj_encode" "opj_encoder_set_extra_options" "opj_end_compress"
    "opj_end_decompress" "opj_get_cstr_index" "opj_get_cstr_info" "opj_get_decoded_tile" "opj_get_num_cpus"
    "opj_has_thread_support" "opj_image_create" "opj_image_data_alloc" "opj_image_data_free"
    "opj_image_destroy" "opj_image_tile_create" "opj_read_header" "opj_read_tile_header" "opj_set_MCT"
    "opj_set_decode_area" "opj_set_decoded_components" "opj_set_decoded_resolution_factor"
    "opj_set_default_decoder_parameters" "opj_set_default_encoder_parameters" "opj_set_error_handler"
    "opj_set_info_handler" "opj_set_warning_handler" "opj_setup_decoder" "opj_setup_encoder"
    "opj_start_compress" "opj_stream_create" "opj_stream_default_create" "opj_stream_destroy"
    "opj_stream_set_read_function" "opj_stream_set_seek_function" "opj_stream_set_skip_function"
    "opj_stream_set_user_data" "opj_stream_set_user_data_length" "opj_stream_set_write_function"
    "opj_version" "opj_write_tile"
}
