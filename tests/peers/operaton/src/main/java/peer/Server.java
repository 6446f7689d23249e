package peer;

import jakarta.servlet.Filter;
import org.operaton.bpm.engine.rest.security.auth.ProcessEngineAuthenticationFilter;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.boot.autoconfigure.condition.ConditionalOnProperty;
import org.springframework.boot.web.servlet.FilterRegistrationBean;
import org.springframework.context.annotation.Bean;

/** Operaton with its REST interface. Prints {@code ready PORT} once it takes requests. */
@SpringBootApplication
public class Server {
  private static final String BASIC =
      "org.operaton.bpm.engine.rest.security.auth.impl.HttpBasicAuthenticationProvider";

  public static void main(String[] arguments) {
    var context = SpringApplication.run(Server.class, arguments);
    System.out.println("ready " + context.getEnvironment().getProperty("local.server.port"));
  }

  /** HTTP Basic, switched on with {@code --peer.basic=true}. */
  @Bean
  @ConditionalOnProperty("peer.basic")
  FilterRegistrationBean<Filter> basic() {
    var registration = new FilterRegistrationBean<Filter>(new ProcessEngineAuthenticationFilter());
    registration.addInitParameter("authentication-provider", BASIC);
    registration.addUrlPatterns("/engine-rest/*");
    return registration;
  }
}
