package javax.annotation;

/** Stands for the annotation of jakarta.annotation-api, which an app brings; only to compile with. */
public @interface Generated {
    String[] value();

    String comments() default "";
}
