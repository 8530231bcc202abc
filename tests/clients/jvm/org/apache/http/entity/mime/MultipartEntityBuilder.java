package org.apache.http.entity.mime;

/** Stands for a class of httpmime that is imported and not used: nothing is sent in parts here. */
public final class MultipartEntityBuilder {}
